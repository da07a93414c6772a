//! Configuration: as written, checked, as meant. The only reader of configuration files and of the environment.
