//! The words typed, one file a verb. Reading verbs are clients of the API.
