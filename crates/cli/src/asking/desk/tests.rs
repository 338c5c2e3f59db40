use super::*;

fn key(entry: &str) -> Key {
    Key::new("web", entry)
}

/// A desk, and a clock that is set by hand.
struct World {
    desk: Desk<String>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self {
            desk: Desk::new(false),
            now: Instant::now(),
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn ask(&mut self, entry: &str) -> Asked {
        self.desk.ask(key(entry), entry.to_owned(), self.now)
    }

    fn waits(&mut self, entry: &str) -> watch::Receiver<Option<Reply>> {
        match self.ask(entry) {
            Asked::Waits(waiting) => waiting.reply,
            Asked::Answered(reply) => panic!("{entry} was answered: {reply:?}"),
        }
    }

    fn answered(&mut self, entry: &str) -> Reply {
        match self.ask(entry) {
            Asked::Answered(reply) => reply,
            Asked::Waits(_) => panic!("{entry} waits"),
        }
    }

    /// What is shown now.
    fn first(&mut self) -> Option<String> {
        self.desk.first(self.now).map(|shown| shown.question.to_string())
    }

    fn answer(&mut self, answer: Answer) {
        let number = self.desk.first(self.now).unwrap().number;
        self.desk.answer(number, answer, self.now);
    }
}

fn reply(waiter: &watch::Receiver<Option<Reply>>) -> Option<Reply> {
    *waiter.borrow()
}

#[test]
fn questions_come_one_after_the_other_and_the_same_one_once() {
    let mut world = World::new();
    let [a, b, again] = ["a", "b", "a"].map(|entry| world.waits(entry));
    assert_eq!(world.first().as_deref(), Some("a"));
    world.answer(Answer::Once);
    assert_eq!(
        [&a, &again, &b].map(reply),
        [Some(Reply::Once), Some(Reply::Once), None]
    );
    assert_eq!(world.first().as_deref(), Some("b"));
    world.answer(Answer::No);
    assert_eq!((reply(&b), world.first()), (Some(Reply::No), None));
    // Once is over, no is not.
    let _waits = world.waits("a");
    world.pass(3600);
    assert_eq!(world.answered("b"), Reply::No);
    // The same addition to another list is another question.
    let other = Key {
        list: "api".into(),
        ..key("b")
    };
    assert!(matches!(
        world.desk.ask(other, "b".to_owned(), world.now),
        Asked::Waits(_)
    ));
}

#[test]
fn what_is_permitted_for_the_run_is_not_asked_again() {
    let mut world = World::new();
    let waiter = world.waits("a");
    world.answer(Answer::Run);
    assert_eq!(
        (reply(&waiter), world.answered("a")),
        (Some(Reply::Run), Reply::Run)
    );
}

#[test]
fn a_question_is_a_no_after_a_minute_shown_or_not_and_asked_again_after_another_one() {
    let mut world = World::new();
    let (shown, behind) = (world.waits("a"), world.waits("b"));
    let number = world.desk.first(world.now).unwrap().number;
    world.pass(59);
    assert_eq!(world.desk.state(number, world.now), State::Stands);
    world.pass(1);
    assert_eq!(world.desk.state(number, world.now), State::OutOfTime);
    assert_eq!(world.first(), None);
    assert_eq!([&shown, &behind].map(reply), [Some(Reply::No); 2]);
    // Whoever tries in a loop is not held up each time.
    world.pass(59);
    assert_eq!(world.answered("a"), Reply::No);
    world.pass(1);
    world.waits("a");
}

#[test]
fn a_question_that_nobody_waits_for_is_withdrawn_and_nothing_is_remembered_of_it() {
    let mut world = World::new();
    let waiter = world.waits("a");
    let number = world.desk.first(world.now).unwrap().number;
    drop(waiter);
    assert_eq!(world.desk.state(number, world.now), State::Withdrawn);
    // An answer that comes too late is for nobody.
    world.desk.answer(number, Answer::Run, world.now);
    let _b = world.waits("b");
    drop(world.waits("a"));
    let _a = world.waits("a");
    assert_eq!(world.first().as_deref(), Some("b"));
}

#[test]
fn beyond_so_many_a_minute_the_answer_is_no_and_told_once() {
    let mut world = World::new();
    let waiters: Vec<_> = (0..A_MINUTE).map(|n| world.waits(&n.to_string())).collect();
    assert_eq!(world.desk.take_beyond(world.now), None);
    for n in 0..10_000 {
        assert_eq!(world.answered(&format!("more {n}")), Reply::No);
    }
    assert_eq!(world.desk.standing.len(), A_MINUTE);
    // Those that stand can be joined.
    world.waits("3");
    assert_eq!(world.desk.take_beyond(world.now), Some(10_000));
    world.answered("more");
    assert_eq!(world.desk.take_beyond(world.now), None, "told a moment ago");
    world.pass(60);
    assert_eq!(world.desk.take_beyond(world.now), Some(1));
    // It is forgotten: a minute later it is a question.
    world.waits("more 1");
    drop(waiters);
}

#[test]
fn one_component_of_several_takes_half_and_they_take_turns() {
    let mut world = World::new();
    world.desk = Desk::new(true);
    let ask = |world: &mut World, list: &str, entry: &str| {
        let key = Key {
            list: list.into(),
            ..key(entry)
        };
        world.desk.ask(key, format!("{list} {entry}"), world.now)
    };
    let mut waiters = Vec::new();
    for n in 0..OF_ONE {
        // A part of it is no other component.
        let list = if n % 2 == 0 { "web" } else { "web/part" };
        waiters.push(ask(&mut world, list, &n.to_string()));
    }
    for list in ["web", "web/part", "web/other"] {
        assert!(matches!(
            ask(&mut world, list, "more"),
            Asked::Answered(Reply::No)
        ));
    }
    waiters.push(ask(&mut world, "api", "a"));
    waiters.push(ask(&mut world, "api", "b"));
    assert!(waiters.iter().all(|asked| matches!(asked, Asked::Waits(_))));
    let order: Vec<String> = (0..5)
        .map(|_| {
            let first = world.first().unwrap();
            assert_eq!(
                world.first().as_ref(),
                Some(&first),
                "it stays until it is answered"
            );
            world.answer(Answer::No);
            first
        })
        .collect();
    assert_eq!(order, ["web 0", "api a", "web/part 1", "api b", "web 2"]);
}

#[test]
fn an_answer_that_comes_too_late_says_so() {
    let mut world = World::new();
    let waiter = world.waits("a");
    let number = world.desk.first(world.now).unwrap().number;
    assert!(world.desk.answer(number, Answer::Silence, world.now));
    assert!(!world.desk.answer(number, Answer::Run, world.now));
    assert_eq!(
        (reply(&waiter), world.answered("a")),
        (Some(Reply::No), Reply::No)
    );
}

#[test]
fn when_it_is_closed_all_are_refused() {
    let mut world = World::new();
    let waiter = world.waits("a");
    world.desk.close();
    assert_eq!(
        (reply(&waiter), world.answered("b")),
        (Some(Reply::No), Reply::No)
    );
    assert!(world.desk.is_closed() && world.first().is_none());
}

#[test]
fn what_is_remembered_has_a_bound_and_the_oldest_goes() {
    let mut world = World::new();
    for n in 0..=REMEMBERED {
        let waiter = world.waits(&n.to_string());
        world.answer(Answer::No);
        drop(waiter);
        world.pass(4);
    }
    assert_eq!(world.desk.answered.len(), REMEMBERED);
    assert_eq!(world.answered("1"), Reply::No);
    world.waits("0");
}
