//! The rows of a statement as a guest's stream, each taken from the server when the guest has taken those before; beside it
//! a future says whether those were all.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult};

/// Where rows come from.
pub(crate) trait RowSource: Send + Unpin + 'static {
    type Row: Send + Sync + 'static;
    type Error: Send + 'static;

    /// The next row, or none if that was the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Row>, Self::Error>> + Send;
}

/// The rows of a source, one by one.
pub(crate) struct RowStream<S: RowSource> {
    /// Unless the next row is being taken.
    rows: Option<S>,
    next: Option<Next<S>>,
    outcome: Option<oneshot::Sender<Result<(), S::Error>>>,
}

/// The next row, which is being taken.
type Next<S> =
    Pin<Box<dyn Future<Output = (S, Result<Option<<S as RowSource>::Row>, <S as RowSource>::Error>)> + Send>>;

impl<S: RowSource> RowStream<S> {
    /// The stream, and how it ends.
    pub(crate) fn of(rows: S) -> (Self, oneshot::Receiver<Result<(), S::Error>>) {
        let (reply, outcome) = oneshot::channel();
        let stream = Self {
            rows: Some(rows),
            next: None,
            outcome: Some(reply),
        };
        (stream, outcome)
    }

    fn end(&mut self, outcome: Result<(), S::Error>) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(reply) = self.outcome.take() {
            // The guest may have dropped its future, and then does not want to know.
            let _ = reply.send(outcome);
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl<T, S: RowSource> StreamProducer<T> for RowStream<S>
where
    S::Row: wasmtime::component::Lower + wasmtime::component::Lift,
{
    type Item = S::Row;
    type Buffer = Option<S::Row>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'a, T>,
        mut destination: Destination<'a, S::Row, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut next = match (self.next.take(), self.rows.take()) {
            (Some(next), _) => next,
            (None, Some(mut rows)) => Box::pin(async move {
                let row = rows.next().await;
                (rows, row)
            }),
            (None, None) => return Poll::Ready(Ok(StreamResult::Dropped)),
        };
        match next.as_mut().poll(cx) {
            Poll::Ready((rows, Ok(Some(row)))) => {
                self.rows = Some(rows);
                destination.set_buffer(Some(row));
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready((_, Ok(None))) => self.end(Ok(())),
            Poll::Ready((_, Err(error))) => self.end(Err(error)),
            Poll::Pending => {
                self.next = Some(next);
                if finish {
                    Poll::Ready(Ok(StreamResult::Cancelled))
                } else {
                    Poll::Pending
                }
            }
        }
    }
}
