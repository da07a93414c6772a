//! The effects on the way from push to live: weigh, prepare, release, watch, verify. They never see the ledger.
