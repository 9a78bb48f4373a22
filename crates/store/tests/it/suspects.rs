//! Notes on events that may have killed a worker.

use crate::support::{Ledger, at};

#[tokio::test]
async fn are_counted_until_they_are_cleared_or_old() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    assert_eq!(store.note_suspect(&[1; 32], at(0)).await.unwrap(), 1);
    assert_eq!(store.note_suspect(&[1; 32], at(1)).await.unwrap(), 2);
    assert_eq!(store.note_suspect(&[2; 32], at(2)).await.unwrap(), 1);
    store.clear_suspect(&[1; 32]).await.unwrap();
    assert_eq!(store.note_suspect(&[1; 32], at(9)).await.unwrap(), 1);
    store.forget_suspects(at(5)).await.unwrap();
    assert_eq!(store.note_suspect(&[1; 32], at(10)).await.unwrap(), 2);
    assert_eq!(store.note_suspect(&[2; 32], at(10)).await.unwrap(), 1);
}
