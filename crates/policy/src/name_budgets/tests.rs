//! The budgets of names, beside a model that remembers everything.

use proptest::prelude::*;

use super::*;

fn bounds(lookups_per_minute: u32, names_per_wildcard: u32) -> NameBounds {
    NameBounds {
        lookups_per_minute,
        names_per_wildcard,
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Asks for `text` below `apexes` of one list without asking a server.
fn below(budgets: &mut NameBudgets, text: &str, apexes: &[&str], most: u32, now: Instant) -> u32 {
    let apexes: Vec<Name> = apexes.iter().map(|apex| name(apex)).collect();
    let lists = [apexes.iter().collect()];
    let asked = budgets.ask(&name(text), &lists, Resolution::Known, bounds(0, most), now);
    assert_eq!(asked.lookups_of_last_minute, None);
    asked.names_below_wildcard.expect("it is below a wildcard")
}

// proves: BUD-1
#[test]
fn the_minute_slides_and_what_is_known_or_refused_counts_nothing() {
    let mut budgets = NameBudgets::default();
    let start = Instant::now();
    let mut ask = |seconds, resolution| {
        let now = start + Duration::from_secs(seconds);
        let asked = budgets.ask(&name("a.example"), &[], resolution, bounds(2, 0), now);
        assert_eq!(asked.names_below_wildcard, None);
        asked.lookups_of_last_minute
    };
    assert_eq!(ask(0, Resolution::Known), None);
    assert_eq!(ask(0, Resolution::Servers), Some(0));
    assert_eq!(ask(30, Resolution::Servers), Some(1));
    for seconds in [31, 59] {
        assert_eq!(ask(seconds, Resolution::Servers), Some(2), "{seconds}");
    }
    assert_eq!(ask(60, Resolution::Servers), Some(1), "the first is a minute ago");
    assert_eq!(ask(89, Resolution::Servers), Some(2));
    assert_eq!(ask(90, Resolution::Servers), Some(1));
}

// proves: BUD-2
#[test]
fn a_name_that_was_asked_for_within_the_hour_is_not_new() {
    let mut budgets = NameBudgets::default();
    let start = Instant::now();
    let mut ask = |minutes: u64, text| {
        let now = start + Duration::from_secs(60 * minutes);
        below(&mut budgets, text, &["x"], 2, now)
    };
    assert_eq!(ask(0, "a.x"), 0);
    assert_eq!(ask(1, "b.x"), 1);
    assert_eq!(ask(2, "c.x"), 2, "refused");
    assert_eq!(ask(40, "a.x"), 1, "asked for again, and of the hour from then on");
    assert_eq!(ask(61, "c.x"), 1, "b is over an hour ago");
    assert_eq!(ask(62, "b.x"), 2, "refused: a and c");
    assert_eq!(ask(99, "b.x"), 2);
    assert_eq!(ask(100, "b.x"), 1, "a is an hour ago");
}

// proves: BUD-2
#[test]
fn a_name_below_several_wildcards_counts_below_each_that_has_room_and_every_list_limits_it() {
    let mut budgets = NameBudgets::default();
    let now = Instant::now();
    let both = ["a.x", "x"];
    assert_eq!(below(&mut budgets, "1.a.x", &both, 2, now), 0);
    assert_eq!(below(&mut budgets, "1.x", &["x"], 2, now), 1);
    assert_eq!(below(&mut budgets, "2.x", &["x"], 2, now), 2, "refused");
    assert_eq!(
        below(&mut budgets, "2.a.x", &both, 2, now),
        1,
        "room below the nearer one"
    );
    assert_eq!(
        below(&mut budgets, "3.a.x", &both, 2, now),
        2,
        "refused: both are full"
    );

    let (nearer, wider) = (name("a.x"), name("b.x"));
    let asked = budgets.ask(
        &name("4.a.x"),
        &[vec![&nearer], vec![&wider]],
        Resolution::Known,
        bounds(0, 2),
        now,
    );
    assert_eq!(asked.names_below_wildcard, Some(2), "the fullest of two lists");
    assert_eq!(
        below(&mut budgets, "1.b.x", &["b.x"], 2, now),
        0,
        "what was refused counts nowhere"
    );
}

// proves: BUD-1, BUD-2
#[test]
fn what_one_budget_refuses_takes_nothing_from_the_other() {
    let mut budgets = NameBudgets::default();
    let (now, apex) = (Instant::now(), name("x"));
    let lists = [vec![&apex]];
    let mut ask = |text, lookups, names| {
        let bounds = bounds(lookups, names);
        budgets.ask(&name(text), &lists, Resolution::Servers, bounds, now)
    };
    for asked in [ask("a.x", 0, 9), ask("b.x", 9, 0), ask("c.x", 9, 9)] {
        let nothing = Asked {
            lookups_of_last_minute: Some(0),
            names_below_wildcard: Some(0),
        };
        assert_eq!(asked, nothing);
    }
    assert_eq!((budgets.lookups(now), budgets.names(now)), (1, 1));
}

// proves: BUD-2
#[test]
fn a_lower_bound_holds_at_once_for_names_that_are_not_new_too() {
    let mut budgets = NameBudgets::default();
    let now = Instant::now();
    for text in ["a.x", "b.x", "c.x"] {
        below(&mut budgets, text, &["x"], 3, now);
    }
    assert_eq!(
        below(&mut budgets, "a.x", &["x"], 2, now),
        2,
        "refused, and not of a later hour"
    );
    let later = now + HOUR;
    assert_eq!(below(&mut budgets, "a.x", &["x"], 2, later), 0);
}

// proves: BUD-1, BUD-2
#[test]
fn a_million_names_take_no_more_than_the_bound() {
    let mut budgets = NameBudgets::default();
    let (start, apex) = (Instant::now(), name("x"));
    for number in 0..1_000_000_u32 {
        let now = start + Duration::from_micros(10 * u64::from(number));
        let asked = budgets.ask(
            &name(&format!("n{number}.x")),
            &[vec![&apex]],
            Resolution::Servers,
            bounds(600, 1000),
            now,
        );
        assert_eq!(asked.lookups_of_last_minute, Some(number.min(600)));
    }
    let names = &budgets.wildcards[&apex];
    assert!(budgets.lookups.times.capacity() <= 2048 && names.asked.capacity() <= 4096);
    assert_eq!((names.asked.len(), names.by_age.len()), (600, 600));
    // An hour later nothing is left of it.
    assert!(budgets.is_empty(start + HOUR + MINUTE));
    assert!(budgets.lookups.times.capacity() <= FEW && budgets.wildcards.is_empty());
}

#[test]
fn a_thread_that_comes_a_moment_late_changes_no_order() {
    let mut lookups = RecentLookups::default();
    let start = Instant::now();
    let late = start + Duration::from_secs(1);
    lookups.note(late);
    lookups.note(start);
    assert_eq!(lookups.number(start + MINUTE), 2);
    assert_eq!(lookups.number(late + MINUTE), 0);

    let mut names = RecentNames::default();
    names.note(1, late);
    names.note(1, start);
    names.forget(start + HOUR);
    assert_eq!((names.number(), names.by_age.len()), (1, 1));
}

/// Everything that was ever permitted, looked through from the beginning each time.
#[derive(Default)]
struct Model {
    lookups: Vec<Instant>,
    names: Vec<(Name, Name, Instant)>,
}

impl Model {
    fn others(&self, asked: &Name, apex: &Name, now: Instant) -> u32 {
        let recent = self
            .names
            .iter()
            .filter(|(_, below, time)| below == apex && now - *time < HOUR);
        let mut others: Vec<&Name> = recent
            .map(|(name, ..)| name)
            .filter(|name| *name != asked)
            .collect();
        others.sort();
        others.dedup();
        others.len() as u32
    }

    fn ask(
        &mut self,
        asked: &Name,
        lists: &[Vec<&Name>],
        servers: bool,
        most: (u32, u32),
        now: Instant,
    ) -> Asked {
        let recent = self.lookups.iter().filter(|time| now - **time < MINUTE).count() as u32;
        let with_room = |list: &Vec<&Name>| list.iter().map(|apex| self.others(asked, apex, now)).min();
        let answer = Asked {
            lookups_of_last_minute: servers.then_some(recent),
            names_below_wildcard: lists.iter().filter_map(with_room).max(),
        };
        let permitted =
            (!servers || recent < most.0) && answer.names_below_wildcard.is_none_or(|names| names < most.1);
        if permitted {
            for apex in lists.iter().flatten() {
                if self.others(asked, apex, now) < most.1 {
                    self.names.push((asked.clone(), (*apex).clone(), now));
                }
            }
            self.lookups.extend(servers.then_some(now));
        }
        answer
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    // proves: BUD-1, BUD-2
    #[test]
    fn the_budgets_are_those_of_a_naive_model(
        lookups in 0..6_u32,
        names in 0..5_u32,
        steps in proptest::collection::vec(
            (
                (0..7_u8, 0..4_u8),
                proptest::collection::vec(proptest::collection::vec(0..3_usize, 1..3), 0..3),
                any::<bool>(),
                prop_oneof![0..2_000_u64, 0..70_000_u64, 0..3_700_000_u64],
            ),
            1..120,
        ),
    ) {
        let apexes = ["x", "a.x", "b.x"].map(name);
        let (mut budgets, mut model) = (NameBudgets::default(), Model::default());
        let mut now = Instant::now();
        for ((label, below), lists, servers, milliseconds) in steps {
            now += Duration::from_millis(milliseconds);
            let asked = name(&format!("n{label}.{}x", ["", "a.", "b.", "c."][usize::from(below)]));
            let lists: Vec<Vec<&Name>> =
                lists.iter().map(|list| list.iter().map(|index| &apexes[*index]).collect()).collect();
            let resolution = if servers { Resolution::Servers } else { Resolution::Known };
            prop_assert_eq!(
                budgets.ask(&asked, &lists, resolution, bounds(lookups, names), now),
                model.ask(&asked, &lists, servers, (lookups, names), now)
            );
            prop_assert!(budgets.lookups.times.len() <= lookups as usize);
            prop_assert!(budgets.wildcards.values().all(|own| own.asked.len() <= names as usize));
        }
    }
}
