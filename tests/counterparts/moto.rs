//! Counterpart: moto.
