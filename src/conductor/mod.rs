//! Moves deployments forward: lanes, the next step, what came of it. Holds no truth: the ledger does.
