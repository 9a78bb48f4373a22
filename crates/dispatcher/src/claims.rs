//! Claims attempts in the ledger for deliveries that come from the queue, many in one statement.
//!
//! A batch is what has asked while the last one was being claimed. Nobody waits for more to come.

use std::sync::Arc;

use signpost_store::{AttemptClaim, Claim};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{context::Context, ledger};

/// Most claims of one statement.
const MAX_BATCH: usize = 500;
/// Claims that may wait for the next statement.
const QUEUE: usize = 2_000;

/// A claim, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Question {
    claim: AttemptClaim,
    answer: oneshot::Sender<Claim>,
}

/// The way to the task that claims.
#[derive(Debug, Clone)]
pub struct Claims {
    questions: mpsc::Sender<Question>,
}

impl Claims {
    /// A handle, and the queue that [`run`] reads.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Question>) {
        let (questions, queue) = mpsc::channel(QUEUE);
        (Self { questions }, queue)
    }

    /// Claims an attempt. `None`: the process is stopping, or the ledger refuses the question.
    pub(crate) async fn ask(&self, claim: AttemptClaim) -> Option<Claim> {
        let (answer, answered) = oneshot::channel();
        let question = Question { claim, answer };
        self.questions.send(question).await.ok()?;
        answered.await.ok()
    }
}

/// Claims until `stop` is cancelled.
pub(crate) async fn run(
    context: Arc<Context>,
    mut queue: mpsc::Receiver<Question>,
    stop: CancellationToken,
) {
    while let Some(batch) = ledger::next_batch(&mut queue, MAX_BATCH, &stop).await {
        let (claims, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|question| (question.claim, question.answer))
            .unzip();
        let claimed = ledger::ask(&context, "claiming attempts", || {
            let now = context.clock.now();
            context.store.claim_attempts(&claims, now)
        });
        // Without an answer the questions are dropped: their messages stay unacked.
        for (answer, claim) in answers.into_iter().zip(claimed.await.into_iter().flatten()) {
            // Whoever asked may have gone, during a stop.
            let _unheard = answer.send(claim);
        }
    }
}
