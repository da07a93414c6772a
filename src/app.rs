//! The composition root: puts the rooms together and runs them on one runtime. Holds no rules.
