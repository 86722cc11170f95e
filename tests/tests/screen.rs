//! The login screen under the hands of a user, with a real client: what is chosen, revealed and said on it. How each of
//! its states looks is the gate's own test (`src/wrd-gate/src/greeter/references.rs`).

mod words;

use anyhow::Context;
use std::process::ExitCode;
use std::time::Duration;
use words::{ERROR, FINAL};
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Init, Machine};
use wrd_tests::runner::Plan;
use wrd_tests::{PATIENCE, eventually, expect_eq, expect_in, processes, runner, server};

fn main() -> ExitCode {
    runner::run(
        &Plan { init: Init::Systemd, prepare, restore: server::restore },
        &[
            ("another_layout_types_other_letters", another_layout_types_other_letters),
            ("the_session_has_the_layout_that_was_chosen", the_session_has_the_layout_that_was_chosen),
            ("a_layout_is_chosen_beside_a_question", a_layout_is_chosen_beside_a_question),
            ("a_layout_is_chosen_by_mouse", a_layout_is_chosen_by_mouse),
            ("a_session_is_chosen", a_session_is_chosen),
            ("a_password_can_be_revealed", a_password_can_be_revealed),
            ("the_client_decides_the_language", the_client_decides_the_language),
            ("who_does_nothing_is_told_how_long_is_left", who_does_nothing_is_told_how_long_is_left),
            ("it_fits_a_phone", it_fits_a_phone),
            ("while_nobody_does_anything_its_gate_sleeps", while_nobody_does_anything_its_gate_sleeps),
        ],
    )
}

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    server::prepare_exempt(machine)?;
    machine.sh("systemctl restart wrd-dm.service; useradd -m zoe; echo 'zoe:zebra' | chpasswd")?;
    Ok(())
}

fn screen<'m>(machine: &'m Machine, options: Options) -> anyhow::Result<Client<'m>> {
    let mut client = Client::start(machine, options.password(""))?;
    client.wait_for_input()?;
    Ok(client)
}

/// The client's layout is that of its own machine, and the user types on another keyboard.
fn another_layout_types_other_letters(machine: &Machine) -> anyhow::Result<()> {
    let mut client = screen(machine, Options::user("zoe").more("/kbd:layout:0x0409"))?;
    // Past the button, to what opens the layouts.
    for key in ["Tab", "Tab", "Return"] {
        client.key(key)?;
    }
    client.type_text("german")?;
    client.settle()?;
    client.shot("screen-layouts");
    client.key("Return")?;
    client.settle()?;
    client.shot("screen-german-layout");
    // Back to the password. German keyboards have z where those of the client have y.
    for key in ["shift+Tab", "shift+Tab"] {
        client.key(key)?;
    }
    client.type_text("yebra")?;
    client.key("Return")?;
    client.wait_for_desktop()?;
    server::wait_state(machine, "zoe", "connected")?;
    Ok(())
}

/// Types a command into the terminal that the desktop has opened, by keys that are elsewhere on a German keyboard, and
/// waits for the file it makes.
fn make_in_terminal(machine: &Machine, client: &mut Client<'_>, typed: &str, made: &str) -> anyhow::Result<()> {
    machine.sh("rm -f /home/zoe/[yz]*")?;
    client.wait_for_terminal()?;
    client.type_text(&format!("touch {typed}"))?;
    client.key("Return")?;
    eventually(&format!("{made} to be made"), PATIENCE, || {
        Ok(machine.path(&format!("/home/zoe/{made}")).exists().then_some(()))
    })
}

/// From the first login on, also for a client that comes back without a choice; and until there is another.
fn the_session_has_the_layout_that_was_chosen(machine: &Machine) -> anyhow::Result<()> {
    server::clear(machine)?;
    let options = || Options::user("zoe").more("/kbd:layout:0x0409");
    for (layout, password, typed, made) in [
        (Some("german"), "yebra", "yz", "zy"),
        (None, "zebra", "yyz", "zzy"),
        (Some("english (us"), "zebra", "yz", "yz"),
    ] {
        let mut client = match layout {
            None => Client::start(machine, options().password(password))?,
            Some(layout) => {
                let client = screen(machine, options())?;
                // Past the button, to what opens the layouts; and back to the password.
                for key in ["Tab", "Tab", "Return"] {
                    client.key(key)?;
                }
                client.type_text(layout)?;
                for key in ["Return", "shift+Tab", "shift+Tab"] {
                    client.key(key)?;
                }
                client.type_text(password)?;
                client.key("Return")?;
                client
            }
        };
        client.wait_for_desktop()?;
        make_in_terminal(machine, &mut client, typed, made)?;
        client.shot(&format!("screen-layout-typed-{made}"));
        client.disconnect()?;
    }
    server::clear(machine)
}

/// What is asked there may have to be typed on that keyboard, too.
fn a_layout_is_chosen_beside_a_question(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("chage --lastday 0 zoe")?;
    let mark = machine.mark()?;
    let mut client = Client::start(machine, Options::user("zoe").password("zebra").more("/kbd:layout:0x0409"))?;
    machine.wait_journal(&mark, "Current password")?;
    client.wait_for_input()?;
    client.key("shift+Tab")?;
    client.settle()?;
    client.shot("screen-question-layout");
    client.key("Return")?;
    client.type_text("german")?;
    for key in ["Return", "Tab"] {
        client.key(key)?;
    }
    client.type_text("yebra")?;
    client.key("Return")?;
    let asked = machine.wait_journal(&mark, "New password");
    drop(client);
    machine.sh("chage --lastday -1 zoe")?;
    asked
}

fn a_layout_is_chosen_by_mouse(machine: &Machine) -> anyhow::Result<()> {
    let mut client = screen(machine, Options::user("zoe").more("/kbd:layout:0x0409"))?;
    let before = client.screen()?;
    // Below the card, in the middle.
    client.click(512, 606)?;
    client.wait_for_screen("a menu", |screen| *screen != before)?;
    let open = client.settle()?;
    client.xdotool(&["click", "5"])?;
    client.wait_for_screen("the menu to be rolled", |screen| *screen != open)?;
    client.settle()?;
    client.shot("screen-layouts-rolled");
    // A click beside it closes it, and nothing was chosen.
    client.click(40, 40)?;
    client.xdotool(&["mousemove", "10", "10"])?;
    client.wait_for_screen("what was there before", |screen| *screen == before)
}

/// One of those that are installed, for the first login; the next one has it by itself.
fn a_session_is_chosen(machine: &Machine) -> anyhow::Result<()> {
    server::clear(machine)?;
    machine.write(
        "/usr/share/wayland-sessions/fancy.desktop",
        "[Desktop Entry]\nType=Application\nName=Fancy\nExec=sh -c \"touch /home/zoe/fancy; exec sleep 1000\"\n",
    )?;
    let mut client = screen(machine, Options::user("zoe"))?;
    client.shot("screen-two-choices");
    // Past the button, to what opens the sessions.
    for key in ["Tab", "Tab", "Return"] {
        client.key(key)?;
    }
    client.type_text("fancy")?;
    client.settle()?;
    client.shot("screen-sessions");
    for key in ["Return", "shift+Tab", "shift+Tab"] {
        client.key(key)?;
    }
    client.type_text("zebra")?;
    client.key("Return")?;
    client.wait_for_desktop()?;
    let wait = || {
        eventually("the session that was chosen", PATIENCE, || {
            Ok(machine.path("/home/zoe/fancy").exists().then_some(()))
        })
    };
    wait()?;
    drop(client);
    server::clear(machine)?;
    machine.sh("rm /home/zoe/fancy")?;
    let _client = Client::login(machine, Options::user("zoe").password("zebra"))?;
    wait()?;
    machine.sh("rm /usr/share/wayland-sessions/fancy.desktop; rm -rf /var/lib/wrd-dm/last-session")?;
    Ok(())
}

fn a_password_can_be_revealed(machine: &Machine) -> anyhow::Result<()> {
    let mut client = screen(machine, Options::user("zoe"))?;
    let empty = client.settle()?;
    client.type_text("zebra")?;
    client.wait_for_screen("what was typed", |screen| *screen != empty)?;
    let hidden = client.settle()?;
    // The eye in the field.
    client.click(656, 412)?;
    client.wait_for_screen("what was hidden", |screen| *screen != hidden)?;
    client.settle()?;
    client.shot("screen-revealed");
    client.key("Return")?;
    client.wait_for_desktop()
}

/// For the screen's own words and for those of others, also with a name and a reason in them.
fn the_client_decides_the_language(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("chown root: /home/bob; chmod 0700 /home/bob")?;
    let result = LANGUAGES.iter().try_for_each(|of| {
        for (password, name, look, lines) in
            [("wrong", "denied", ERROR, of.wrong), ("pw-bob", "failed", FINAL, of.home)]
        {
            let options = Options::user("bob").password(password).more(&format!("/kbd:layout:{}", of.layout));
            let mut client = Client::start(machine, options)?;
            let said = words::says(&mut client, look, lines);
            client.shot(&format!("screen-{}-{name}", of.name));
            said.with_context(|| of.name)?;
        }
        Ok(())
    });
    machine.sh("chown bob: /home/bob")?;
    result
}

struct Language {
    name: &'static str,
    layout: &'static str,
    /// What it says of a wrong password.
    wrong: &'static [&'static str],
    /// What it says of a home folder that cannot be read.
    home: &'static [&'static str],
}

const LANGUAGES: &[Language] = &[
    Language {
        name: "english",
        layout: "0x0409",
        wrong: &["The user name or the password is wrong."],
        home: &["The home folder /home/bob of bob cannot be", "read: permission denied."],
    },
    Language {
        name: "german",
        layout: "0x0407",
        wrong: &["Der Benutzername oder das Passwort ist falsch."],
        home: &["Der persönliche Ordner /home/bob von bob kann", "nicht gelesen werden: Zugriff verweigert."],
    },
    Language {
        name: "french",
        layout: "0x040c",
        wrong: &["Le nom d’utilisateur ou le mot de passe est", "incorrect."],
        home: &["Le dossier personnel /home/bob de bob ne peut", "pas être lu : accès refusé."],
    },
    Language {
        name: "spanish",
        layout: "0x040a",
        wrong: &["El nombre de usuario o la contraseña no es", "correcto."],
        home: &["No se puede leer la carpeta personal /home/bob", "de bob: acceso denegado."],
    },
    Language {
        name: "chinese",
        layout: "0x0804",
        wrong: &["用户名或密码错误。"],
        home: &["无法读取 bob 的主文件夹 /home/bob：没有权限。"],
    },
];

fn who_does_nothing_is_told_how_long_is_left(machine: &Machine) -> anyhow::Result<()> {
    let config = machine.sh("cat /etc/wrd-dm/wrd-dm.toml")?;
    machine.write("/etc/wrd-dm/wrd-dm.toml", &format!("{config}\n[limits]\nlogin_seconds = 20\n"))?;
    machine.sh("systemctl restart wrd-dm.service")?;
    let result = (|| {
        let mut client = screen(machine, Options::user("bob"))?;
        let before = client.screen()?;
        eventually("the time that is left", PATIENCE, || {
            Ok(client.screen()?.differences(&before)?.is_some().then_some(()))
        })?;
        client.shot("screen-time-left");
        client.wait_exit()?;
        expect_in("the client's log", "ERRINFO_LOGON_TIMEOUT", &client.log())
    })();
    machine.write("/etc/wrd-dm/wrd-dm.toml", &config)?;
    machine.sh("systemctl restart wrd-dm.service")?;
    result
}

fn it_fits_a_phone(machine: &Machine) -> anyhow::Result<()> {
    for (name, width, height, scale) in
        [("upright", 412, 892, 100), ("on-its-side", 844, 390, 100), ("large", 1080, 1920, 300)]
    {
        let options = Options::user("bob").size(width, height).more(&format!("/scale-desktop:{scale}"));
        let client = screen(machine, options)?;
        client.shot(&format!("screen-phone-{name}"));
    }
    Ok(())
}

fn while_nobody_does_anything_its_gate_sleeps(machine: &Machine) -> anyhow::Result<()> {
    let client = screen(machine, Options::user("bob"))?;
    let gates: Vec<_> = processes::ours(machine)?.into_iter().filter(|(name, _)| name == "wrd-gate").collect();
    expect_eq("gates", gates.len(), 1)?;
    let switches = || -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(gates[0].1.join("status"))?;
        Ok(processes::field(&status, "voluntary_ctxt_switches:"))
    };
    // What was drawn last may still be on its way; the network's own timers are not its.
    eventually("the gate to sleep for two seconds", PATIENCE, || {
        let before = switches()?;
        std::thread::sleep(Duration::from_secs(2));
        Ok((switches()? == before).then_some(()))
    })?;
    drop(client);
    Ok(())
}
