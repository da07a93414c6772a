//! What happened, in order, on disk. The log and sled live here only.
