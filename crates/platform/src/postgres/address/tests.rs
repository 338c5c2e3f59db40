use super::*;

fn shown(address: &PostgresAddress) -> String {
    let or_none = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
    let PostgresAddress {
        destination,
        encryption,
        connect_time,
        user,
        password,
        database,
        application,
        options,
        channel_binding,
    } = address;
    let mut shown = format!(
        "{destination} {encryption:?} {user} {} {}",
        or_none(password),
        or_none(database)
    );
    for (name, value) in [("app", application), ("options", options)] {
        if let Some(value) = value {
            shown += &format!(" {name}={value}");
        }
    }
    if let Some(time) = connect_time {
        shown += &format!(" {time:?}");
    }
    if *channel_binding != ChannelBinding::Prefer {
        shown += &format!(" {channel_binding:?}");
    }
    shown
}

// proves: HI-1
#[test]
fn an_address_string_is_one_place_or_refused_with_the_part_that_is_not_understood() {
    let long = format!("postgres://me@{}.example", "a".repeat(300));
    let many = format!("host={}example user=me", "abcdefghi.".repeat(30));
    let longer = format!("host=a user=me password={}", "x".repeat(5000));
    let (unknown, host) = (
        "a parameter that is not known",
        "a host that is neither a name nor an address",
    );
    let port = "a port that is not a number up to 65535";
    let rows = [
        ("postgres://me@db", Ok("postgres://db:5432 IfOffered me - -")),
        ("POSTGRESQL://me@Db./", Ok("postgres://db:5432 IfOffered me - -")),
        (
            "postgresql://me:p%40s%3as%2F@10.0.0.5:6000/my%20db?sslmode=disable",
            Ok("postgres://10.0.0.5:6000 Never me p@s:s/ my db"),
        ),
        (
            "postgres://me@[::1]:6000/x?application_name=a%26b&options=-c%20search_path%3Da&connect_timeout=3",
            Ok("postgres://[::1]:6000 IfOffered me - x app=a&b options=-c search_path=a 3s"),
        ),
        (
            "postgres://me:x@db/x?sslmode=require&channel_binding=require",
            Ok("postgres://db:5432 Always me x x Require"),
        ),
        (
            "postgres://db/x?user=me&password=y",
            Ok("postgres://db:5432 IfOffered me y x"),
        ),
        ("host=db user=me", Ok("postgres://db:5432 IfOffered me - -")),
        (
            "  host = db\tport=6000 user='me \\'n\\\\' password=a\\ b  dbname='' sslmode = verify-full ",
            Ok("postgres://db:6000 Always me 'n\\ a b -"),
        ),
        (
            "host=::1 user=me sslmode=verify-ca",
            Ok("postgres://[::1]:5432 Always me - -"),
        ),
        (
            "user=me password=a://b host=db",
            Ok("postgres://db:5432 IfOffered me a://b -"),
        ),
        (
            "host=db user=me connect_timeout=0",
            Ok("postgres://db:5432 IfOffered me - -"),
        ),
        ("", Err("a host that is missing")),
        ("db", Err("a parameter without a value")),
        ("user=me", Err("a host that is missing")),
        ("host= user=me", Err(host)),
        ("host='' user=me", Err("a host that is missing")),
        ("postgres://me@", Err("a host that is missing")),
        ("postgres:///x", Err("a host that is missing")),
        ("postgres://db/x", Err("a user that is missing")),
        ("postgres://:secret@db/x", Err("a user that is missing")),
        ("host=db", Err("a user that is missing")),
        (
            "mysql://me@db",
            Err("a scheme that is neither postgres nor postgresql"),
        ),
        ("postgres://me@a,b/x", Err("several hosts")),
        ("postgres://me@a:1,b:2/x", Err("several hosts")),
        ("host=a,b user=me", Err("several hosts")),
        ("host=a host=b user=me", Err("a part that is given twice")),
        ("postgres://me@db/x?host=other", Err("a part that is given twice")),
        ("postgres://me@db:1/x?port=2", Err("a part that is given twice")),
        ("postgres://me@db/x?user=other", Err("a part that is given twice")),
        ("host=db user=me port=1,2", Err(port)),
        ("host=db hostaddr=10.0.0.1 user=me", Err("`hostaddr`")),
        ("postgres://me@db?hostaddr=10.0.0.1", Err("`hostaddr`")),
        ("host=/run/postgresql user=me", Err("the path of a socket")),
        ("host='@abstract' user=me", Err("the path of a socket")),
        (
            "postgres://me@%2Frun%2Fpostgresql/x",
            Err("a percent-encoded host"),
        ),
        ("postgres://me@d%62/x", Err("a percent-encoded host")),
        ("host=d%62 user=me", Err(host)),
        (
            "postgres://me@db?target_session_attrs=any",
            Err("`target_session_attrs`"),
        ),
        (
            "postgres://me@db?load_balance_hosts=random",
            Err("`load_balance_hosts`"),
        ),
        ("host=db user=me keepalives=1", Err("an option of the socket")),
        (
            "host=db user=me tcp_user_timeout=1",
            Err("an option of the socket"),
        ),
        (
            "host=db user=me sslrootcert=/etc/passwd",
            Err("a file of this machine"),
        ),
        ("host=db user=me service=x", Err("a file of this machine")),
        ("host=db user=me HOSTADDR=10.0.0.1", Err(unknown)),
        ("host=db user=me sslnegotiation=direct", Err(unknown)),
        ("postgres://me@db?x=y", Err(unknown)),
        ("postgres://me@db?ho%73t=y", Err(unknown)),
        ("postgres://me@db?sslmode", Err("a parameter without a value")),
        (
            "host=db user=me sslmode=allow",
            Err("an `sslmode` that is not known"),
        ),
        (
            "host=db user=me channel_binding=x",
            Err("a `channel_binding` that is not known"),
        ),
        (
            "host=db user=me connect_timeout=-1",
            Err("a `connect_timeout` that is not a number of seconds"),
        ),
        ("postgres://me@db#x", Err("a fragment")),
        ("postgres://me:a@b@db", Err("more than one `@`")),
        ("postgres://me@db:0", Err("the port 0")),
        ("host=db port=0 user=me", Err("the port 0")),
        ("host=db port=+1 user=me", Err(port)),
        ("postgres://me@db:65536", Err(port)),
        ("host=db:5432 user=me", Err(host)),
        ("host='a b' user=me", Err(host)),
        ("host=db\\@evil user=me", Err(host)),
        (
            "postgres://me@db/a/b",
            Err("a database that is not percent-encoded"),
        ),
        (
            "postgres://me:%zz@db",
            Err("a password that is not percent-encoded"),
        ),
        ("postgres://me:%00@db", Err("a NUL byte")),
        ("host='db user=me", Err("a quote that is not closed")),
        ("host='db'user=me", Err("text behind a quoted value")),
        ("host=db user=me\\", Err("a backslash at the end")),
        (&*long, Err("a name that is too long")),
        (&*many, Err("a name that is too long")),
        (&*longer, Err("an address string that is too long")),
    ];
    for (text, expected) in rows {
        let found = PostgresAddress::parse(text)
            .map(|address| shown(&address))
            .map_err(|BadAddress(part)| part);
        assert_eq!(found.as_deref().map_err(|part| *part), expected, "{text}");
    }
}

// proves: HI-4
#[test]
fn addresses_share_connections_if_they_are_the_same_for_the_server() {
    let key = |text| PostgresAddress::parse(text).ok().unwrap().key();
    assert_eq!(key("postgres://me@db"), key("host=DB port=5432 user=me"));
    let all = [
        "postgres://me@db",
        "postgres://me@db.",
        "postgres://me@db:1",
        "postgres://me@db/x",
        "postgres://me:x@db",
        "postgres://you@db",
        "postgres://me@db?sslmode=disable",
        "postgres://me@db?sslmode=require",
        "postgres://me@db?options=x",
        "postgres://me@db?application_name=x",
    ];
    for (at, one) in all.iter().enumerate() {
        for other in &all[at + 1..] {
            // A dot at the end makes a name whole, and means the same host.
            let same = one.trim_end_matches('.') == other.trim_end_matches('.');
            assert!(same || key(one) != key(other), "{one} {other}");
        }
    }
}

#[test]
fn the_client_library_is_told_neither_host_nor_port() {
    let address = PostgresAddress::parse("postgres://me:x@db:6000/y").ok().unwrap();
    let config = address.config();
    assert!(config.get_hosts().is_empty() && config.get_hostaddrs().is_empty());
    assert!(config.get_ports().is_empty());
    assert_eq!(config.get_user(), Some("me"));
}
