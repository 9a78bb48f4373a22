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
        let claimed = claim(&context, &claims).await;
        // One of them is refused for good. The others must not suffer for it.
        if claimed.is_none() && claims.len() > 1 && !context.lifecycle.is_stopping() {
            for (one, answer) in claims.into_iter().zip(answers) {
                give([answer], claim(&context, &[one]).await);
            }
        } else {
            give(answers, claimed);
        }
    }
}

async fn claim(context: &Context, claims: &[AttemptClaim]) -> Option<Vec<Claim>> {
    let question = || context.store.claim_attempts(claims, context.clock.now());
    ledger::ask(context, "claiming attempts", question).await
}

/// Without an answer the questions are dropped: their messages stay unacked.
fn give(answers: impl IntoIterator<Item = oneshot::Sender<Claim>>, claimed: Option<Vec<Claim>>) {
    for (answer, claim) in answers.into_iter().zip(claimed.into_iter().flatten()) {
        // Whoever asked may have gone, during a stop.
        let _unheard = answer.send(claim);
    }
}
