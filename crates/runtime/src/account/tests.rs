use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use outport_egress::HostAccount;

use super::*;
use crate::memory_ceiling::MemoryCeiling;

fn account(change: impl FnOnce(&mut GuestLimits)) -> Arc<Account> {
    account_under(usize::MAX, change)
}

fn account_under(ceiling: usize, change: impl FnOnce(&mut GuestLimits)) -> Arc<Account> {
    let mut limits = GuestLimits::of_a_command();
    change(&mut limits);
    let share = Arc::new(Arc::new(MemoryCeiling::of(ceiling)).share("web"));
    Arc::new(Account::open(&limits, &share, 0).expect("there is room for a stack"))
}

/// Has the processor for so long.
fn compute(time: Duration) {
    let processor = || Duration::from_nanos(processor_time().expect("this system says"));
    let end = processor() + time;
    while processor() < end {
        std::hint::spin_loop();
    }
}

// proves: ISO-2
#[test]
fn time_in_a_call_of_the_host_is_charged_as_it_passes() {
    let account = account(|limits| limits.cpu_time = Some(Duration::from_millis(30)));
    account.charge(|| compute(Duration::from_millis(5)));
    assert!(account.check().is_ok());
    account.charge(|| {
        compute(Duration::from_millis(20));
        assert!(account.charge_so_far() > Duration::from_millis(1));
        compute(Duration::from_millis(20));
    });
    assert!(account.check().is_err(), "{:?} were charged", account.computed());
}

// proves: ISO-2
#[test]
fn a_wait_is_not_charged() {
    let account = account(|limits| limits.cpu_time = Some(Duration::from_millis(30)));
    account.charge(|| std::thread::sleep(Duration::from_millis(60)));
    assert!(account.check().is_ok(), "another thread had the processor");
    std::thread::sleep(Duration::from_millis(60));
    assert!(account.check().is_ok());
}

// proves: Q-3
#[test]
fn a_further_request_gets_all_of_the_time_until_half_is_used() {
    let account = account(|limits| limits.cpu_time = Some(Duration::from_millis(100)));
    while !account.is_half_used() {
        account.charge(|| compute(Duration::from_millis(10)));
    }
    account.renew();
    assert_eq!(account.computed(), Duration::ZERO);
    assert!(account.check().is_ok());
    assert!(account.is_half_used(), "of all of its life");
}

// proves: ISO-3
#[test]
fn what_the_host_holds_for_an_instance_counts_until_it_is_given_back() {
    let account = account(|limits| limits.memory = 3 * FREE);
    let mut held = Vec::new();
    account.charge(|| held.push(vec![0_u8; 2 * FREE]));
    assert!(account.check().is_ok(), "{}", account.held_by_host());
    assert!(account.map(FREE / 2));
    assert!(
        !account.map(3 * FREE),
        "what the host holds counts for the guest's own"
    );
    account.charge(|| held.push(vec![0_u8; 2 * FREE]));
    assert!(account.check().is_err());
    account.charge(|| held.clear());
    assert!(account.check().is_ok());
}

// proves: ISO-3
#[test]
fn nobody_saves_up_by_giving_back_what_others_took() {
    let account = account(|limits| limits.memory = FREE);
    let of_others = vec![0_u8; 64 * FREE];
    account.charge(move || drop(of_others));
    let mut held = Vec::new();
    account.charge(|| held.push(vec![0_u8; 3 * FREE]));
    assert!(account.check().is_err());
}

// proves: ISO-3
#[test]
fn what_an_instance_has_written_counts_until_somebody_has_read_it() {
    let account = account(|limits| limits.memory = FREE);
    let mut body = Vec::new();
    account.charge(|| body = vec![0_u8; 4 * FREE]);
    assert!(account.check().is_err());
    std::thread::spawn(move || drop(body)).join().unwrap();
    account.charge(|| ());
    assert!(account.check().is_ok());
}

// proves: ISO-3
#[test]
fn what_is_done_aside_is_not_held_for_the_instance() {
    let account = account(|limits| limits.memory = FREE);
    let (mut log, mut own) = (Vec::new(), Vec::new());
    account.charge(|| {
        HostAccount::aside(&*account, &mut || log.push(vec![0_u8; 4 * FREE]));
    });
    assert!(account.check().is_ok(), "{}", account.held_by_host());
    account.charge(|| own.push(vec![0_u8; 3 * FREE]));
    assert!(account.check().is_err());
}

// proves: ISO-3
#[test]
fn what_the_host_holds_is_taken_from_all_and_given_back_at_the_end() {
    let ceiling = 16 * FREE;
    let account = account_under(ceiling, |_| {});
    let mut held = Vec::new();
    account.charge(|| held.push(vec![0_u8; 10 * FREE]));
    assert!(account.check().is_ok());
    assert!(!account.share.has_room_for(6 * FREE));
    account.charge(|| held.push(vec![0_u8; 10 * FREE]));
    assert!(account.check().is_err(), "together they have no more");
    let share = Arc::clone(&account.share);
    drop(account);
    assert!(share.has_room_for(ceiling));
}

// proves: ISO-2, ISO-3
#[tokio::test]
async fn a_guest_that_waits_is_woken_and_ended_when_others_use_up_its_account() {
    let account = account(|limits| limits.cpu_time = Some(Duration::from_millis(20)));
    let guest = {
        let account = Arc::clone(&account);
        std::future::poll_fn(move |cx| account.poll(cx, |_| Poll::<wasmtime::Result<()>>::Pending))
    };
    let mut guest = tokio::spawn(guest);
    tokio::task::yield_now().await;
    assert!((&mut guest).now_or_never().is_none());
    // A connection of it that a peer keeps busy.
    for _ in 0..100 {
        HostAccount::charge(&*account, &mut || compute(Duration::from_millis(5)));
    }
    let ended = guest.await.expect("it does not panic");
    assert!(
        ended
            .expect_err("it is ended")
            .is::<crate::limits::ComputedTooLong>()
    );
}

// proves: ISO-3
#[test]
fn what_was_mapped_is_given_back_with_the_instance_although_its_answer_is_on_its_way() {
    let account = account_under(STACK + 1000, |_| {});
    assert!(account.map(1000));
    let of_the_answer = Arc::clone(&account);
    drop(crate::limits::Budget::new(account));
    assert!(of_the_answer.share.has_room_for(STACK + 1000));
    let share = Arc::clone(&of_the_answer.share);
    drop(of_the_answer);
    assert!(
        share.has_room_for(STACK + 1000) && !share.has_room_for(STACK + 1001),
        "once"
    );
}

// proves: ISO-3
#[test]
fn what_an_instance_begins_with_is_taken_when_it_is_admitted() {
    let share = Arc::new(Arc::new(MemoryCeiling::of(2 * STACK + 150)).share("web"));
    let limits = GuestLimits::of_a_command();
    let first = Account::open(&limits, &share, 100).expect("there is room");
    assert!(Account::open(&limits, &share, 100).is_none(), "not for two");
    assert!(first.map(60) && first.map(40), "what was taken for it");
    let second = Account::open(&limits, &share, 50).expect("there is room for a smaller one");
    assert!(!first.map(1));
    drop(second);
    assert!(first.map(50));
    drop(first);
    assert!(share.has_room_for(2 * STACK + 150));
}
