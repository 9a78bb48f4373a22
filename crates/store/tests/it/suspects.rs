//! Notes on events that may have killed a worker.

use std::collections::HashMap;

use crate::support::{Ledger, at};

const ONE: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

#[tokio::test]
async fn are_counted_until_they_are_cleared_or_old() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let both = [ONE, OTHER];
    assert_eq!(store.suspects(&both).await.unwrap(), HashMap::new());
    // The same message twice in one batch is one.
    store
        .note_suspects(&[ONE, OTHER, ONE], at(0))
        .await
        .unwrap();
    store.note_suspects(&[ONE], at(9)).await.unwrap();
    let noted = HashMap::from([(ONE, 2), (OTHER, 1)]);
    assert_eq!(store.suspects(&both).await.unwrap(), noted);
    store.forget_suspects(at(5)).await.unwrap();
    assert_eq!(
        store.suspects(&both).await.unwrap(),
        HashMap::from([(ONE, 2)])
    );
    store.clear_suspects(&both).await.unwrap();
    assert_eq!(store.suspects(&both).await.unwrap(), HashMap::new());
}
