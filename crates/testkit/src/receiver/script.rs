//! Which answer comes next.

use std::collections::{HashMap, VecDeque};

use super::{Received, Reply};

type Answer = Box<dyn FnMut(&Received) -> Reply + Send>;

/// Answers per path, answers for all other paths, or a function in place of both.
#[derive(Default)]
pub(super) struct Script {
    everywhere: VecDeque<Reply>,
    per_path: HashMap<String, VecDeque<Reply>>,
    answer: Option<Answer>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Script")
            .field("everywhere", &self.everywhere)
            .finish_non_exhaustive()
    }
}

impl Script {
    pub(super) fn set(&mut self, path: Option<&str>, replies: VecDeque<Reply>) {
        self.answer = None;
        match path {
            Some(path) => drop(self.per_path.insert(path.to_owned(), replies)),
            None => self.everywhere = replies,
        }
    }

    pub(super) fn answer_with(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }

    pub(super) fn next(&mut self, request: &Received) -> Reply {
        if let Some(answer) = &mut self.answer {
            return answer(request);
        }
        let replies = self
            .per_path
            .get_mut(&request.path)
            .unwrap_or(&mut self.everywhere);
        let next = if replies.len() > 1 {
            replies.pop_front()
        } else {
            replies.front().cloned()
        };
        next.unwrap_or_else(|| Reply::status(200))
    }
}
