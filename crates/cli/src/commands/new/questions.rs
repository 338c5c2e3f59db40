//! Questions on the terminal, on standard error. Whoever answers Ctrl-C, Ctrl-D or, in the menu, Esc wants nothing of it.
//!
//! ```text
//! rows for all templates ─► a menu, which the arrows move in ─┐
//! fewer, or `TERM=dumb` ─► a numbered list ─► a number or name ┴► Template
//! the rest               ─► a line, which is asked again until it is valid
//! ```
//!
//! The terminal may have any size, and another one at any moment: what is drawn reckons with none. From the first question to
//! the end it hands over each key alone and shows none itself, also what is typed before it is asked for: a terminal that goes
//! to and fro between lines and keys loses some.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{env, io, mem};

use console::{Key, Term, measure_text_width};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use super::answers::check_reserved;
use crate::failure::Failure;
use crate::templates::project_name::ProjectName;
use crate::templates::{ALL, Template, lines};

/// There is no answer.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(super) struct Stopped;

pub(super) fn template() -> Result<&'static Template, Failure> {
    let terminal = Term::stderr();
    let lines: Vec<String> = lines().collect();
    let index = answered(|| {
        if has_room(&terminal, &lines) {
            menu(&terminal, &lines)
        } else {
            list(&terminal, &lines)
        }
    })?;
    ALL.get(index).ok_or_else(|| Failure::Broken(Stopped.into()))
}

/// True if all lines are seen at once below the prompt, and can be drawn over. Of a terminal that does not tell its size it
/// is believed.
fn has_room(terminal: &Term, lines: &[String]) -> bool {
    let draws = env::var_os("TERM").is_some_and(|name| name != "dumb");
    let holds = |(rows, columns)| usize::from(rows) >= lines.len() + 2 && columns >= FEWEST_COLUMNS;
    draws && terminal.size_checked().is_none_or(holds)
}

/// Columns that tell the templates from each other.
const FEWEST_COLUMNS: u16 = 40;

/// The beginning of a line, so much as stands in one row: a line that went on in the next one could not be drawn over.
fn in_one_row(terminal: &Term, line: &str) -> String {
    let columns = terminal
        .size_checked()
        .map_or(usize::MAX, |(_, columns)| usize::from(columns));
    // The last column is left free, since some terminals go on behind it.
    if measure_text_width(line) < columns {
        return line.to_owned();
    }
    let room = columns.saturating_sub(2);
    line.chars().take(room).chain(['…']).collect()
}

/// What stands before the line that Enter chooses.
const MARK: &str = "> ";

fn menu(terminal: &Term, lines: &[String]) -> io::Result<usize> {
    let mut chosen = 0;
    terminal.write_line("Template:")?;
    terminal.hide_cursor()?;
    loop {
        for (index, line) in lines.iter().enumerate() {
            let mark = if index == chosen { MARK } else { "  " };
            terminal.write_line(&in_one_row(terminal, &format!("{mark}{line}")))?;
        }
        match key(terminal)? {
            Key::ArrowDown | Key::Tab | Key::Char('j') => chosen = (chosen + 1) % lines.len(),
            Key::ArrowUp | Key::BackTab | Key::Char('k') => chosen = (chosen + lines.len() - 1) % lines.len(),
            Key::Home => chosen = 0,
            Key::End => chosen = lines.len() - 1,
            Key::Enter | Key::Char(' ') => break,
            Key::Escape | Key::Char('q' | END_OF_INPUT) => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
        terminal.clear_last_lines(lines.len())?;
    }
    terminal.clear_last_lines(lines.len() + 1)?;
    terminal.show_cursor()?;
    terminal.write_line(&format!("Template: {}", lines[chosen]))?;
    Ok(chosen)
}

fn list(terminal: &Term, lines: &[String]) -> io::Result<usize> {
    for (index, line) in lines.iter().enumerate() {
        terminal.write_line(&format!("{}. {line}", index + 1))?;
    }
    let text = line(terminal, "Template (number or name)", None, |text| {
        number_of(text)
            .map(drop)
            .ok_or_else(|| format!("it is no number up to {}, and no template's name", ALL.len()))
    })?;
    // It was read a moment ago.
    number_of(&text).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The index of the template whose number, from 1, or name it is.
fn number_of(text: &str) -> Option<usize> {
    let by_number = text
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    by_number
        .filter(|index| *index < ALL.len())
        .or_else(|| ALL.iter().position(|one| one.name == text))
}

pub(super) fn name(likely: Option<ProjectName>, template: &Template) -> Result<ProjectName, Failure> {
    let likely = likely.map(|name| name.to_string());
    let text = ask("Name", likely.as_deref(), |text| {
        let name = text.parse::<ProjectName>().map_err(|error| error.to_string())?;
        match check_reserved(&name, template) {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("`{name}` is reserved in the language")),
        }
    })?;
    // It was read a moment ago.
    text.parse().map_err(|_| Failure::Broken(Stopped.into()))
}

pub(super) fn text(
    prompt: &str,
    default: &str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<String, Failure> {
    ask(prompt, Some(default), check)
}

fn ask(
    prompt: &str,
    default: Option<&str>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<String, Failure> {
    answered(|| line(&Term::stderr(), prompt, default, check))
}

/// A line without spaces around it that holds; an empty one is the default.
fn line(
    terminal: &Term,
    prompt: &str,
    default: Option<&str>,
    check: impl Fn(&str) -> Result<(), String>,
) -> io::Result<String> {
    let offered = match default {
        // Brackets around nothing would say nothing.
        Some(default) if !default.is_empty() => format!("{prompt} [{default}]: "),
        _ => format!("{prompt}: "),
    };
    loop {
        terminal.write_str(&offered)?;
        let typed = typed(terminal)?;
        let text = match (typed.trim(), default) {
            ("", Some(default)) => default,
            (typed, _) => typed,
        };
        match check(text) {
            Ok(()) => return Ok(text.to_owned()),
            Err(error) => terminal.write_line(&format!("error: {error}"))?,
        }
    }
}

/// What is typed before Enter.
fn typed(terminal: &Term) -> io::Result<String> {
    let mut text = String::new();
    loop {
        match key(terminal)? {
            Key::Enter => {
                terminal.write_line("")?;
                return Ok(text);
            }
            Key::Char(END_OF_INPUT) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Key::Char(ERASE_LINE) => {
                terminal.clear_chars(measure_text_width(&text))?;
                text.clear();
            }
            Key::Backspace => {
                if let Some(last) = text.pop() {
                    terminal.clear_chars(measure_text_width(last.encode_utf8(&mut [0; 4])))?;
                }
            }
            Key::Char(typed) if !typed.is_control() && text.len() < LONGEST => {
                text.push(typed);
                terminal.write_str(typed.encode_utf8(&mut [0; 4]))?;
            }
            _ => {}
        }
    }
}

/// Ctrl-D.
const END_OF_INPUT: char = '\x04';

/// Ctrl-U.
const ERASE_LINE: char = '\x15';

/// Bytes that a terminal takes as one line.
const LONGEST: usize = 4096;

static KEYS: Mutex<Keys> = Mutex::new(Keys::NotTaken);

/// Whose the keys of the terminal are.
enum Keys {
    /// Nothing was asked so far.
    NotTaken,
    /// They come one by one, and how the terminal was before.
    Taken(Termios),
    /// The terminal is as it was, and stays so.
    Left,
}

fn keys() -> MutexGuard<'static, Keys> {
    KEYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on keys come one by one. Ctrl-C is a signal as before.
fn take_the_keys() -> io::Result<()> {
    let mut keys = keys();
    if let Keys::NotTaken = *keys {
        let before = tcgetattr(io::stdin())?;
        let mut one_by_one = before.clone();
        one_by_one
            .local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        one_by_one.special_codes[SpecialCodeIndex::VMIN] = 1;
        one_by_one.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Drain, &one_by_one)?;
        *keys = Keys::Taken(before);
    }
    Ok(())
}

/// The next key.
///
/// Reading one changes the terminal to and fro. So it is begun when the key is there, and with the lock held: what a signal
/// has left as it was is not changed any more.
fn key(terminal: &Term) -> io::Result<Key> {
    let input = io::stdin();
    let mut waiting = [PollFd::new(&input, PollFlags::IN)];
    while let Err(error) = poll(&mut waiting, None) {
        if error != Errno::INTR {
            return Err(error.into());
        }
    }
    match *keys() {
        Keys::Left => Err(io::ErrorKind::Interrupted.into()),
        Keys::NotTaken | Keys::Taken(_) => terminal.read_key(),
    }
}

/// Leaves the terminal as it was before the first question. A menu hides the cursor.
///
/// When it returns that is done, whoever did it.
pub(super) fn leave_the_terminal() {
    let mut keys = keys();
    // Where nothing was asked nothing was changed, and a terminal that is gone needs nothing.
    if let Keys::Taken(before) = mem::replace(&mut *keys, Keys::Left) {
        let _ = Term::stderr().show_cursor();
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &before);
    }
}

/// The answer to a question.
fn answered<T>(ask: impl FnOnce() -> io::Result<T>) -> Result<T, Failure> {
    take_the_keys()
        .and_then(|()| ask())
        .map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => Failure::Broken(Stopped.into()),
            _ => Failure::Broken(anyhow::Error::new(error).context("the terminal cannot be read")),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_chosen_by_its_number_or_its_name() {
        for (text, index) in [("1", Some(0)), ("9", Some(8)), ("http-js", Some(1))] {
            assert_eq!(number_of(text), index, "{text}");
        }
        for text in ["", "0", "10", "-1", "http", "99999999999999999999"] {
            assert_eq!(number_of(text), None, "{text}");
        }
    }
}
