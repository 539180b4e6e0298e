//! Slots, pacer, ledger. Pure, except the ledger.
