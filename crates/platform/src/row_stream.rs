//! The rows of a statement as what a guest is given piece by piece, each taken from the server when the guest has taken those
//! before.

use std::pin::Pin;
use std::task::{Context, Poll};

use wasmtime::component::Lower;

use crate::pieces::{self, Outcome, Pieces, Stream};

/// Where rows come from.
pub(crate) trait RowSource: Send + Unpin + 'static {
    type Row: Lower + Send + Sync + 'static;
    type Error: Send + 'static;

    /// The next row, or none if that was the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Row>, Self::Error>> + Send;
}

/// A stream of the rows of `source`, and a future that says whether those were all.
pub(crate) fn given<S: RowSource>(source: S) -> (Stream<Rows<S>>, Outcome<Rows<S>>) {
    pieces::given(Rows {
        source: Some(source),
        next: None,
    })
}

/// The rows of a source, one by one.
pub(crate) struct Rows<S: RowSource> {
    /// Unless the next row is being taken.
    source: Option<S>,
    next: Option<Next<S>>,
}

/// The next row, which is being taken.
type Next<S> =
    Pin<Box<dyn Future<Output = (S, Result<Option<<S as RowSource>::Row>, <S as RowSource>::Error>)> + Send>>;

impl<S: RowSource> Pieces for Rows<S> {
    type Item = S::Row;
    type Error = S::Error;

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<S::Row>>, S::Error>> {
        let mut next = match (self.next.take(), self.source.take()) {
            (Some(next), _) => next,
            (None, Some(mut source)) => Box::pin(async move {
                let row = source.next().await;
                (source, row)
            }),
            (None, None) => return Poll::Ready(Ok(None)),
        };
        match next.as_mut().poll(cx) {
            Poll::Ready((source, row)) => {
                self.source = Some(source);
                Poll::Ready(row.map(|row| row.map(|row| vec![row])))
            }
            Poll::Pending => {
                self.next = Some(next);
                Poll::Pending
            }
        }
    }
}
