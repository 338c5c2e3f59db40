//! What a guest tries with questions: to forge one, to write over one, to have an answer taken for another one, to ask without
//! end; and a terminal or an instance that goes away under one.

use std::fs;
use std::net::TcpStream;

use outport_e2e::http;
use outport_e2e::outport::Outport;
use outport_e2e::tcp::TcpPeer;
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;
use rustix::process::Signal;

use super::{ask, perform, web};

#[test]
fn what_a_neighbour_prints_while_a_question_stands_is_held_back_until_it_is_answered() {
    let (turnstile, printed) = (Turnstile::closed(), TcpPeer::echo());
    let statements = format!(
        "{}; print held-back; tcp.connect {}",
        turnstile.wait(),
        printed.address()
    );
    let manifest = format!(
        "{}\n[[trigger.command]]\ncomponent = \"loud\"\nargs = [{statements:?}]\n\n[component.loud]\nsource = \
         \"GUESTS/script-guest.wasm\"\nallowed_outbound_hosts = [{:?}, \"*://{}\"]\n",
        web("1"),
        turnstile.entry(),
        printed.address()
    );
    let mut terminal = ask(Outport::up(&manifest));
    let address = super::address(&terminal);
    turnstile.has(1);
    let performed = perform(address, "tcp.connect 127.0.0.1:2000");
    terminal.question();
    turnstile.open();
    // What comes behind it in the guest has happened.
    printed.wait_for(1);
    let seen = terminal.seen();
    assert!(!seen.contains("held-back") && seen.ends_with("s) "), "{seen}");
    terminal.types("n\n");
    assert!(performed.join().unwrap().contains("=> access-denied"));
    terminal.shows("print held-back => held-back");
    terminal.running.signal(Signal::TERM);
}

#[test]
fn what_is_typed_for_a_question_that_went_away_answers_no_other_one() {
    let mut terminal = ask(Outport::up(&web("1")).option("--response-timeout=5s"));
    let address = super::address(&terminal);
    let ended = perform(address, "tcp.connect 127.0.0.1:2000");
    terminal.question();
    assert!(!ended.join().unwrap().contains("=>"));
    terminal.shows("withdrawn: nobody waits for the answer any more");
    let performed = perform(address, "tcp.connect 127.0.0.1:2001");
    terminal.shows("may `web` connect to 127.0.0.1:2001?");
    // There is no prompt yet.
    terminal.types("run\n");
    terminal.shows("typed too soon: once more");
    let question = terminal.question();
    assert!(question.contains("127.0.0.1:2001"), "{question}");
    terminal.types("n\n");
    assert!(performed.join().unwrap().contains("=> access-denied"));
    terminal.running.signal(Signal::TERM);
}

// proves: RSN-4
#[test]
fn a_forged_question_and_what_was_typed_for_it_are_of_no_use() {
    let (peer, turnstile) = (TcpPeer::echo(), Turnstile::closed());
    let forged = "print \u{1b}[?1049h\u{1b}[8m\u{1b}[?25loutport asks-you: may `web` look at the time? [o]nce, [w]rite? ";
    let script = format!("{forged}; {}; tcp.connect {}", turnstile.wait(), peer.address());
    let mut terminal = ask(Outport::script_guest().allow(turnstile.entry()).args([script]));
    terminal.shows("look at the time?");
    turnstile.has(1);
    // A whole line and a part of one, which the terminal has seen.
    terminal.types("run\nonce");
    terminal.shows("run\nonce");
    turnstile.open();
    let question = terminal.question();
    assert!(question.contains(&peer.address().to_string()), "{question}");
    // What the guest has done to the terminal ended before.
    let seen = terminal.seen();
    let (before, _) = seen.split_once("outport asks: ").unwrap();
    let (_, before) = before
        .split_once("\u{1b}[?1049h\u{1b}[8m\u{1b}[?25l")
        .expect("the sequences of the guest");
    for sequence in ["\u{1b}[?1049l", "\u{1b}[0m", "\u{1b}[?25h"] {
        assert!(before.contains(sequence), "{sequence:?} in {before:?}");
    }
    // What is left of what was typed makes no answer of Enter.
    terminal.types("\n");
    let finished = terminal.running.finish().expect_code(0);
    let seen = finished.stdout.replace('\r', "");
    assert!(
        seen.contains(&format!("tcp.connect {} => access-denied", peer.address())),
        "{seen}"
    );
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn a_flood_of_attempts_is_a_few_questions_and_a_line_and_the_neighbour_answers() {
    let mut terminal = ask(Outport::up(&web("1")));
    let address = super::address(&terminal);
    // Those below 1024 a limit refuses.
    let performed = perform(address, "repeat 10000 tcp.connect 127.0.0.1:{}");
    // Half of those that there are, since it is not alone.
    for _ in 0..10 {
        let question = terminal.question();
        assert!(question.contains("connect to 127.0.0.1:"), "{question}");
        assert_eq!(http::get(address, "/hello").unwrap().status, 200);
        terminal.types("\n");
    }
    assert!(performed.join().unwrap().contains("=> access-denied x10000"));
    terminal
        .shows("no more than 20 questions a minute, 10 for a component that is not alone: the answer to ");
    assert_eq!(terminal.questions(), 10);
    assert_eq!(http::get(address, "/hello").unwrap().status, 200);
    terminal.running.signal(Signal::TERM);
}

#[test]
fn a_question_of_an_instance_that_ends_is_withdrawn() {
    let mut terminal = ask(Outport::up(&web("1")).option("--response-timeout=5s"));
    let address = super::address(&terminal);
    let script = "tcp.connect 127.0.0.1:2000";
    let ended = perform(address, script);
    terminal.question();
    // Its time is over before anybody answers.
    assert!(!ended.join().unwrap().contains("=>"));
    terminal.shows("withdrawn: nobody waits for the answer any more");
    // The next one is asked, and nothing is remembered of it.
    let performed = perform(address, script);
    terminal.answers("127.0.0.1:2000", "n");
    assert!(performed.join().unwrap().contains("=> access-denied"));
    terminal.running.signal(Signal::TERM);
}

#[test]
fn control_c_and_a_closed_terminal_end_what_waits_for_an_answer() {
    let script = "tcp.connect 127.0.0.1:2000";
    let mut terminal = ask(Outport::script_guest().args([script]));
    terminal.question();
    terminal.types("\x03");
    terminal.running.finish().expect_code(130);

    let mut terminal = ask(Outport::up(&web("1")));
    let address = super::address(&terminal);
    let performed = perform(address, script);
    terminal.question();
    terminal.types("\x03");
    // It finishes what it is at, which is refused now.
    assert!(performed.join().unwrap().contains("=> access-denied"));
    terminal.running.finish().expect_code(0);

    let mut terminal = ask(Outport::up(&web("1")));
    let address = super::address(&terminal);
    let performed = perform(address, script);
    terminal.question();
    let log = terminal.running.folder().join("audit.jsonl");
    terminal.running.signal(Signal::KILL);
    assert!(performed.join().unwrap().contains("=> access-denied"));
    until("the server ends", || TcpStream::connect(address).is_err());
    until("the denial is in the log", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("\"verdict\":\"deny\""))
    });
}
