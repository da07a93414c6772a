//! Where commits come from: GitHub or a git repository. Head, relation, peek, archive; never writes.
