//! The newest probe.

use crate::support::{Ledger, at};

#[tokio::test]
async fn the_newest_of_all_probes_is_kept_in_one_row() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    assert_eq!(store.newest_probe().await.unwrap(), None);
    for second in [5, 20, 10] {
        store.note_probe(at(second)).await.unwrap();
    }
    assert_eq!(store.newest_probe().await.unwrap(), Some(at(20)));
    assert_eq!(ledger.value("SELECT count(*) FROM probe").await, "1");
}
