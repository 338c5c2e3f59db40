use std::sync::atomic::Ordering;

use futures::FutureExt;

use super::*;
use crate::http::waiting_room::FEWEST;

const WEB: OwnPool = OwnPool(1);
const SHOP: OwnPool = OwnPool(2);

fn client(slots: &ConcurrencyLimit, number: u8) -> Arc<Client> {
    slots.clients().at([192, 0, 2, number].into())
}

/// As many slots as one asker gets without waiting.
fn all_of(slots: &ConcurrencyLimit, asker: Asker<'_>) -> Vec<RequestSlot> {
    std::iter::from_fn(|| slots.try_take(asker)).collect()
}

// proves: Q-3
#[test]
fn a_quarter_of_the_places_is_shared_out_among_components() {
    // (slots, components, of each, common): the table at the top, and what lies around it.
    for (number, components, of_each, common) in [
        (1000, 1, 0, 1000),
        (1000, 2, 125, 750),
        (1000, 10, 25, 750),
        (8, 4, 1, 4),
        (7, 4, 0, 7),
        (1, 1, 0, 1),
        (1, 3, 0, 1),
        (4, 2, 1, 2),
        (3, 2, 0, 3),
        (0, 0, 0, 1),
        (1000, 500, 1, 500),
        (1000, 501, 0, 1000),
    ] {
        let slots = ConcurrencyLimit::new(number, components);
        let sizes: Vec<_> = slots.shared.pools.iter().map(|pool| pool.size).collect();
        let expected: Vec<_> = std::iter::once(common)
            .chain((0..components).map(|_| of_each))
            .collect();
        assert_eq!(sizes, expected, "{number}, {components}");
    }
}

// proves: ISO-5
#[test]
fn nobody_takes_all_places_from_the_others() {
    // (slots, components, of `web` taken by one client, then by two more, then of `shop` by the first)
    for (number, components, first, further, shop) in [
        (1000, 1, 500, 500, 0),
        (1000, 2, 62 + 375, 63 + 375, 62),
        (8, 2, 1 + 3, 3, 1),
        (4, 2, 1 + 1, 1, 1),
        (2, 1, 1, 1, 0),
        (1, 1, 1, 0, 0),
    ] {
        let slots = ConcurrencyLimit::new(number, components);
        let (one, other, third) = (client(&slots, 1), client(&slots, 2), client(&slots, 3));
        let held = all_of(&slots, Asker::Client(&one, WEB));
        assert_eq!(held.len(), first, "{number}, {components}");
        let mut others = all_of(&slots, Asker::Client(&other, WEB));
        others.extend(all_of(&slots, Asker::Client(&third, WEB)));
        assert_eq!(others.len(), further, "{number}, {components}");
        if components > 1 {
            let held = all_of(&slots, Asker::Client(&one, SHOP));
            assert_eq!(held.len(), shop, "{number}, {components}");
        }
        drop((held, others));
        assert!(slots.quiet().now_or_never().is_some());
    }
}

// proves: Q-3
#[test]
fn calls_leave_half_of_the_places_to_clients() {
    // (slots, of these for calls)
    for (number, for_calls) in [(2, 1), (4, 2), (5, 2), (10, 5)] {
        let slots = ConcurrencyLimit::new(number, 1);
        let held = all_of(&slots, Asker::Call(1));
        assert_eq!(held.len(), for_calls, "{number}");
        let clients = [client(&slots, 1), client(&slots, 2), client(&slots, 3)];
        let others: Vec<_> = clients
            .iter()
            .flat_map(|client| all_of(&slots, Asker::Client(client, WEB)))
            .collect();
        assert_eq!(others.len(), number as usize - for_calls, "{number}");
        drop((held, others));
        assert!(slots.quiet().now_or_never().is_some());
        assert_eq!(
            all_of(&slots, Asker::Call(1)).len(),
            for_calls,
            "they are given back"
        );
    }
}

// proves: ISO-5
#[tokio::test]
async fn who_waits_gets_what_becomes_free_and_who_stops_waiting_leaves_nothing_behind() {
    let slots = ConcurrencyLimit::new(4, 2);
    let (one, other) = (client(&slots, 1), client(&slots, 2));
    let mut held = all_of(&slots, Asker::Client(&one, WEB));
    held.extend(all_of(&slots, Asker::Client(&other, WEB)));
    let mut gone = Box::pin(slots.take(Asker::Client(&one, WEB)));
    assert!((&mut gone).now_or_never().is_none());
    let mut stays = Box::pin(slots.take(Asker::Client(&other, WEB)));
    assert!((&mut stays).now_or_never().is_none());
    drop(gone);
    held.clear();
    let slot = stays.await;
    assert!(slot.is_ok());
    drop(slot);
    assert!(slots.quiet().now_or_never().is_some());
    assert_eq!(slots.shared.waiting.waiting(), 0);
    assert_eq!(one.waiting.load(Ordering::Relaxed), 0);
}

// proves: ISO-5
#[tokio::test]
async fn only_so_many_requests_wait_and_half_of_them_for_one_client() {
    let slots = ConcurrencyLimit::new(2, 1);
    let (one, other) = (client(&slots, 1), client(&slots, 2));
    let held: Vec<_> = [&one, &other]
        .iter()
        .flat_map(|client| all_of(&slots, Asker::Client(client, WEB)))
        .collect();
    assert_eq!(held.len(), 2);
    let mut waiting = Vec::new();
    let mut wait = |client| {
        let mut slot = Box::pin(slots.take(Asker::Client(client, WEB)));
        let answered = (&mut slot).now_or_never();
        waiting.push(slot);
        answered.map(|answer| answer.err())
    };
    for _ in 0..FEWEST / 2 {
        assert_eq!(wait(&one), None);
    }
    assert_eq!(wait(&one), Some(Some(NoSlot::Full)));
    assert_eq!(wait(&other), None);
}

// proves: Q-3
#[tokio::test]
async fn idle_instances_hold_no_place_and_are_few() {
    let slots = ConcurrencyLimit::new(1, 1);
    let one = client(&slots, 1);
    let take = || slots.try_take(Asker::Client(&one, WEB)).expect("it is free");
    let mut idle = Vec::new();
    for _ in 0..IDLE_INSTANCES {
        idle.push(take().into_idle().ok().expect("there is room"));
    }
    assert!(take().into_idle().is_err());
    slots.quiet().await;
    idle.pop();
    assert!(take().into_idle().is_ok());
}

// proves: Q-3
#[tokio::test]
async fn calls_are_nested_to_a_limit() {
    let slots = ConcurrencyLimit::new(4, 1);
    let Ok(slot) = slots.take(Asker::Call(DEEPEST_CALL)).await else {
        panic!("this is not too deep");
    };
    assert_eq!(slot.depth(), DEEPEST_CALL);
    for depth in [DEEPEST_CALL + 1, u32::MAX] {
        assert_eq!(slots.take(Asker::Call(depth)).await.err(), Some(NoSlot::TooDeep));
    }
}
