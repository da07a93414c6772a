//! The program. Everything it does is in the library; this file only hands over.

fn main() {}
