//! One attacker with many addresses: what strangers do to a login server, each on demand.
//!
//! Run inside a test machine, in a network namespace of its own; never pointed at anything else. It ends when
//! its standard input does, whatever it is doing, and says at its end in one line of JSON how its connections
//! fared. It judges nothing: the tests do.

mod cases;
mod cookies;
mod fields;
mod foreign;
mod full;
mod malformed;
mod mutate;
mod net;
mod ntlm;
mod passwords;
mod records;
mod rogue;
mod sealed;
mod stand;
mod ts_request;
mod walk;

use clap::{Parser, Subcommand};
use net::{Net, Range};
use serde_json::Value;
use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;
use walk::Stage;

#[derive(Parser)]
struct Cli {
    /// The server; one address for each family that is attacked from.
    #[arg(long, required = true)]
    to: Vec<SocketAddr>,
    /// Where connections come from, in turn: ADDRESS+COUNT, counted by address (IPv4) or by /64 (IPv6).
    #[arg(long, required = true)]
    from: Vec<Range>,
    #[command(subcommand)]
    attack: Attack,
}

#[derive(Subcommand)]
enum Attack {
    /// Opens connections as fast as it can, and keeps the last ones open.
    Flood {
        #[arg(long)]
        connections: usize,
        #[arg(long, default_value_t = 0)]
        hold: usize,
        /// What each says: nothing, or a good first PDU.
        #[arg(long)]
        talk: bool,
    },
    /// Takes connections to a stage and stays there until standard input ends.
    Stand {
        #[arg(long)]
        stage: Stage,
        #[arg(long)]
        connections: usize,
        /// Opens another one for each that the server ends.
        #[arg(long)]
        again: bool,
        /// Reads nothing any more.
        #[arg(long)]
        deaf: bool,
        /// Fills everything that a gate has for it, on its way to being joined or active, and then reads nothing.
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        person: walk::Person,
    },
    /// Goes on from a stage one byte at a time, until the server has ended every connection.
    Trickle {
        #[arg(long)]
        stage: Vec<Stage>,
        #[arg(long, default_value_t = 500)]
        pause_ms: u64,
    },
    /// Hostile values in every length field of everything that a client says.
    Lengths,
    /// Structures in structures, empty ones, too many of them.
    Structures,
    /// What hostile clients seal that have proven a password.
    Sealed {
        /// USER:PASSWORD of who has proven it.
        #[arg(long)]
        proven: String,
        /// The same of somebody else, whose password PAM is asked about.
        #[arg(long)]
        tried: String,
    },
    /// TLS that no client speaks: renegotiation, truncated records, floods of empty ones.
    Tls,
    /// A good connection with some bits turned over, again and again.
    Flips {
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        seed: u64,
    },
    /// Wrong passwords.
    Passwords {
        #[arg(long)]
        attempts: usize,
        #[arg(long, default_value = "bob")]
        user: String,
        /// Types them on the login screen instead of sending each with a connection of its own.
        #[arg(long)]
        typed: bool,
    },
    /// Wrong passwords, and how long each user waits for the answer: times in ms.
    Answers {
        #[arg(long)]
        attempts: usize,
        #[arg(long)]
        user: Vec<String>,
        /// Tried in NLA, and not sent along to the login screen.
        #[arg(long)]
        nla: bool,
    },
    /// Logs in with a password or by a cookie, and reports the cookie that this connection is given.
    Cookie {
        #[command(flatten)]
        visit: cookies::Visit,
    },
    /// Has the gates misbehave, where `wrd-rogue-gate` is in their place.
    Rogue {
        /// STAGE/ACT [USER PASSWORD]; an act that ends with `foreign` stands for many.
        #[arg(long)]
        case: Vec<String>,
        /// The same of cases that nothing is held against: whether their address is let in again is not tried.
        #[arg(long)]
        harmless: Vec<String>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("attacker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<Value> {
    let net = Net::new(cli.to, cli.from);
    if let Attack::Stand { stage, connections, again, deaf, full, person } = &cli.attack {
        return stand::stand(
            net,
            *stage,
            *connections,
            stand::Manner { again: *again, deaf: *deaf, full: *full },
            person,
        );
    }
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    match cli.attack {
        Attack::Flood { connections, hold, talk } => Ok(stand::flood(&net, connections, hold, talk)),
        Attack::Trickle { stage, pause_ms } => Ok(stand::trickle(&net, &stage, pause_ms)),
        Attack::Lengths => {
            let (cases, fields) = malformed::lengths(&net)?;
            let mut report = cases::run(&net, cases)?;
            report["fields"] = fields.into_iter().collect();
            Ok(report)
        }
        Attack::Structures => cases::run(&net, malformed::structures(&net)?),
        Attack::Sealed { proven, tried } => sealed::run(&net, &proven, &tried),
        Attack::Tls => cases::run(&net, records::cases()),
        Attack::Flips { connections, seed } => cases::run(&net, mutate::cases(connections, seed)),
        Attack::Passwords { attempts, user, typed: true } => Ok(passwords::type_on_screen(&net, attempts, &user)?),
        Attack::Passwords { attempts, user, typed: false } => Ok(passwords::send(&net, attempts, &user)),
        Attack::Answers { attempts, user, nla } => {
            let door = if nla { passwords::Door::Nla } else { passwords::Door::Screen };
            Ok(passwords::time(&net, attempts, &user, door))
        }
        Attack::Cookie { visit } => cookies::visit(&net, &visit),
        Attack::Rogue { case, harmless } => Ok(rogue::play(&net, &case, &harmless)),
        Attack::Stand { .. } => unreachable!("done above"),
    }
}
