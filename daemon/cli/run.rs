//! `taktd run`: the daemon.

use super::export::settings;
use super::file_sources::{events_config, file_config};
use super::office::Office;
use super::replay::MAX_LEGS;
use super::{Common, Failure, Result};
use crate::config::{
    AmiLogin, AsteriskAmi, BareCopies, Capture, FreeSwitch, FreeSwitchEvents, Hep, HepTransport, Http, LogFormat, LogLevel, SourceConfig,
};
use crate::http::{Guard, Pass};
use crate::logging;
use crate::pipeline::inputs::HepServer;
use crate::pipeline::live::{self, Input, Start};
use crate::pipeline::posted::{AfterReading, Posting};
use crate::pipeline::record_files::FileConfig;
use crate::pipeline::taps::Watch;
use crate::sources::capture::{Tap, TapError};
use crate::sources::hep::{Bare, Listener, Reader, Receiver};
use crate::sources::tls::{Tls, Trust};
use crate::sources::{asterisk_ami, freeswitch, freeswitch_events, fritzbox};
use crate::tariff::Period;
use crate::units::KeyedState;
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::path::Path;
use std::process::ExitCode;

pub fn run(common: &Common) -> Result {
    let office = Office::load(common)?;
    let log = office.config.log;
    let format = match log.format {
        LogFormat::Json => logging::Format::Json,
        LogFormat::Journald => logging::Format::Journal,
        LogFormat::Text => logging::Format::Text,
    };
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    logging::init(format, level)?;
    let export = match &office.config.export {
        Some(export) => Some((settings(&office, None)?, export.at.map(|at| (at, export.timezone)))),
        None => None,
    };
    let (export, export_at) = export.map_or((None, None), |(settings, at)| (Some(settings), at));
    let inputs = inputs(&office)?;
    if inputs.is_empty() {
        return Err(Failure::Usage(format!("{}: no [[source]] is configured; there is nothing to meter", office.config.file.display())));
    }
    let reloaded = common.clone();
    let start = Start {
        ledger: office.writer()?,
        in_force: office.in_force.clone(),
        roles: office.roles(),
        inputs,
        http: (office.config.http.listen, guard(&office.config.http)?),
        export,
        export_at,
        close_after: office.config.ledger.as_ref().map_or(Period::Days(5), |ledger| ledger.close_after),
        keep: office.config.privacy.keep,
        mask_digits: office.config.privacy.mask_digits,
        max_legs: MAX_LEGS,
        key: KeyedState::new(RandomState::new().hash_one("taktd")),
        reload: Box::new(move || match Office::load(&reloaded) {
            Ok(office) => Ok(office.in_force),
            Err(Failure::Usage(problems)) => Err(problems),
            Err(Failure::Work(error)) => Err(format!("{error:#}")),
        }),
    };
    live::run(start)?;
    Ok(ExitCode::SUCCESS)
}

/// Opens what is configured: ports are bound now, so that a mistake stops the start.
fn inputs(office: &Office) -> Result<Vec<Input>> {
    let mut inputs = Vec::with_capacity(office.config.sources.len());
    for (place, source) in office.config.sources.iter().enumerate() {
        inputs.push(match source {
            SourceConfig::Hep(source) => hep(source)?,
            SourceConfig::Capture(source) => capture(source)?,
            SourceConfig::AsteriskAmi(source) => Input::Manager(place, manager(source)?),
            SourceConfig::FritzBox(source) => Input::Monitor(place, fritzbox::Config { address: source.connect, zone: source.timezone }),
            SourceConfig::AsteriskCel(source) => Input::Events(place, events_config(source, None)?),
            SourceConfig::FreeSwitchEvents(source) => Input::EventSocket(place, event_socket(source)?),
            SourceConfig::FreeSwitch(source) => Input::Posted(Box::new(posting(place, source)?)),
            SourceConfig::AsteriskCdr(_) | SourceConfig::Csv(_) => match file_config(source, None)? {
                Some(config) => Input::Files(place, config),
                None => continue,
            },
        });
    }
    Ok(inputs)
}

/// Whom the HTTP port lets in.
fn guard(http: &Http) -> Result<Guard> {
    let pass = match &http.token_file {
        Some(file) => {
            let token = secret(file, "the token that who asks has to send")?;
            let fit = |token: &&str| token.len() >= Pass::SHORTEST && token.bytes().all(|byte| byte.is_ascii_graphic());
            let Some(token) = std::str::from_utf8(&token).ok().filter(fit) else {
                let least = Pass::SHORTEST;
                let what = format!(
                    "{}: it is no token; write {least} or more letters and digits, such as `openssl rand -hex 32` prints",
                    file.display()
                );
                return Err(Failure::Usage(what));
            };
            Some(Pass::bearer(token))
        }
        None => None,
    };
    let tls = http.tls.as_ref().map(|(cert, key)| Tls::read(cert, key)).transpose();
    Ok(Guard { pass, tls: tls.map_err(|error| Failure::Usage(error.to_string()))? })
}

/// Opens a HEP port.
fn hep(source: &Hep) -> Result<Input> {
    let key = source.auth_key_file.as_deref().map(|path| secret(path, "the password that the PBX sends")).transpose()?;
    let bare = match source.bare_copies {
        BareCopies::AsSent => Bare::AsSent,
        BareCopies::Siptrace => Bare::Siptrace,
    };
    let failed = |scheme: &'static str| move |error: io::Error| anyhow::anyhow!("source.listen: {scheme}://{}: {error}", source.listen);
    let (scheme, tls) = match &source.transport {
        HepTransport::Udp => {
            let bound = Receiver::bind(source.listen, Reader::new(key.as_deref(), bare));
            return Ok(Input::Hep(bound.map_err(failed("udp"))?));
        }
        HepTransport::Tcp => ("tcp", None),
        HepTransport::Tls { cert_file, key_file } => {
            ("tls", Some(Tls::read(cert_file, key_file).map_err(|error| Failure::Usage(error.to_string()))?))
        }
    };
    let listener = Listener::bind(source.listen, tls).map_err(failed(scheme))?;
    Ok(Input::HepServer(HepServer { listener, key: key.map(Into::into), bare }))
}

/// Opens a network interface. One that is not there yet is waited for; what may not be read never will be.
fn capture(source: &Capture) -> Result<Input> {
    let tap = match Tap::open(&source.interface, &source.ports) {
        Ok(tap) => Some(tap),
        Err(error @ TapError::Permission { .. }) => return Err(anyhow::anyhow!("source.interface: {error}").into()),
        Err(TapError::Interface { .. }) => None,
    };
    Ok(Input::Capture(Watch { interface: source.interface.clone(), ports: source.ports.clone(), tap }))
}

/// The manager interface as its room wants it.
fn manager(source: &AsteriskAmi) -> Result<asterisk_ami::Config> {
    let secret = secret(&source.secret_file, "the secret of the user in manager.conf")?;
    let trust = source.tls.as_ref().map(|tls| Trust::read(&tls.ca_file, tls.server_name.clone())).transpose();
    Ok(asterisk_ami::Config {
        address: source.connect,
        trust: trust.map_err(|error| Failure::Usage(error.to_string()))?,
        username: source.username.to_string(),
        secret: String::from_utf8_lossy(&secret).into_owned(),
        login: match source.login {
            AmiLogin::Md5 => asterisk_ami::Login::Md5,
            AmiLogin::Plain => asterisk_ami::Login::Plain,
        },
    })
}

/// The event socket as its room wants it.
fn event_socket(source: &FreeSwitchEvents) -> Result<freeswitch_events::Config> {
    let password = secret(&source.password_file, "the password of event_socket.conf.xml")?;
    let password = String::from_utf8_lossy(&password).into_owned();
    Ok(freeswitch_events::Config { address: source.connect, password, variables: source.variables.clone() })
}

/// A port on which records are posted, bound now.
fn posting(place: usize, source: &FreeSwitch) -> Result<Posting> {
    let login = match &source.login {
        Some((user, file)) => {
            let password = String::from_utf8(secret(file, "the password that FreeSWITCH sends")?);
            let password =
                password.map_err(|_| Failure::Usage(format!("{}: it is no UTF-8; write the password in UTF-8", file.display())))?;
            Some(Pass::basic(user, &password))
        }
        None => None,
    };
    let port = match &source.listen {
        Some((address, path)) => {
            let bound = std::net::TcpListener::bind(address);
            Some((bound.map_err(|error| anyhow::anyhow!("source.listen: http://{address}: {error}"))?, path.clone(), login))
        }
        None => None,
    };
    let config = FileConfig::FreeSwitch(freeswitch::Config { spool: source.spool.clone(), variables: source.variables.clone() });
    Ok(Posting { place, config, port, after: if source.spool_delete { AfterReading::Delete } else { AfterReading::Keep } })
}

/// A secret in a file; a line end behind it does not belong to it.
fn secret(path: &Path, what: &str) -> Result<Vec<u8>> {
    let wrong = |what: String| Failure::Usage(format!("{}: {what}", path.display()));
    let key = fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let key = key.trim_ascii_end().to_vec();
    if key.is_empty() { Err(wrong(format!("is empty; it should hold {what}"))) } else { Ok(key) }
}
