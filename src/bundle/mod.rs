//! An archive stream in, a bundle stream out, in one pass. Never talks to the network.
