//! A body on its way between an instance and somebody else, whose bytes change hands.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::host_account::HostAccount;

/// Tells an instance's account of the bytes of a body as they pass.
pub struct AccountedBody<B> {
    body: B,
    account: Arc<dyn HostAccount>,
    way: Way,
}

#[derive(Clone, Copy)]
enum Way {
    Received,
    PassedOn,
}

impl<B> AccountedBody<B> {
    /// A body that others write and the instance reads.
    pub fn received(body: B, account: Arc<dyn HostAccount>) -> AccountedBody<B> {
        let way = Way::Received;
        AccountedBody { body, account, way }
    }

    /// A body that the instance writes and others read.
    pub fn passed_on(body: B, account: Arc<dyn HostAccount>) -> AccountedBody<B> {
        let way = Way::PassedOn;
        AccountedBody { body, account, way }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for AccountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            match self.way {
                Way::Received => self.account.received(data.len()),
                Way::PassedOn => self.account.passed_on(data.len()),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
