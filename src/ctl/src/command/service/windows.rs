//! The agent as a Windows service: registered with the service control manager (SCM) and read back from it.
//!
//! ```text
//! candor   own process, delayed automatic start, "…\agentd.exe" service, NT SERVICE\candor with its SID
//!          restarts after 1 s, 10 s, 60 s; also after an exit with an error; counted anew each day
//!          two privileges and no other; 15 s when the host goes down
//! beside   directories and registry key with the rights of that account, a source of the event log
//! ```
//!
//! # Invariants
//! - What was set is read back; what the SCM does not tell is `not verifiable here`, never taken for good.
//! - Uninstalling stops the service first and leaves policy, settings and state where they are.
//!
//! On failure: a sentence that says what to do.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceConfig, ServiceErrorControl,
    ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceSidType,
    ServiceStartType, ServiceState, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use candor_platform::{
    EVENT_SOURCE, Layout, PRIVILEGES, furnish_directories, furnish_event_source,
    furnish_settings_key, has_delayed_start, has_event_source, preshutdown_timeout,
    remove_event_source, remove_settings, require_privileges, required_privileges,
};

use super::{Finding, Settings};

const NAME: &str = "candor";
const DISPLAY_NAME: &str = "Candor telemetry agent";
const DESCRIPTION: &str = "Tells what its owner's level allows about this host. `agentctl explain` says which level holds and why.";
/// The virtual account that Windows makes for the service: no password, no rights but its own.
const ACCOUNT: &str = r"NT SERVICE\candor";
/// `ERROR_SERVICE_DOES_NOT_EXIST`.
const NOT_THERE: i32 = 1060;
/// `ERROR_SERVICE_MARKED_FOR_DELETE`.
const LEAVING: i32 = 1072;
const RESTARTS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_mins(1)];
const COUNT_ANEW: Duration = Duration::from_hours(24);
const PRESHUTDOWN: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn is_there() -> Result<(), String> {
    manager(ServiceManagerAccess::CONNECT).map(drop)
}

pub(super) fn install() -> Result<(String, Settings), String> {
    let wanted = wanted()?;
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let service = match open(ServiceAccess::ALL_ACCESS)? {
        Some(service) => {
            service.change_config(&wanted).map_err(|error| told("change the service", &error))?;
            service
        }
        None => manager
            .create_service(&wanted, ServiceAccess::ALL_ACCESS)
            .map_err(|error| told("register the service; run it as an administrator", &error))?,
    };
    let missed = furnish(&service);
    let note =
        if missed.is_empty() { String::new() } else { format!("; not set: {}", missed.join(", ")) };
    Ok((format!("the service {NAME} is registered{note}"), settings(&service)))
}

pub(super) fn uninstall() -> Result<(String, Settings), String> {
    remove_event_source().map_err(|error| format!("cannot remove the event source: {error}"))?;
    // An installer takes the service away by itself, and leaves the rest to this program.
    let Some(service) = open(ServiceAccess::ALL_ACCESS)? else {
        return Ok((format!("there is no service {NAME}"), Settings::default()));
    };
    end(&service)?;
    match service.delete() {
        Err(error) if !is_gone(&error) => return Err(told("remove the service", &error)),
        _ => {}
    }
    Ok((
        format!("the service {NAME} is removed; policy, settings and state stay"),
        Settings::default(),
    ))
}

/// Takes the operator's setting out of the registry, and the agent's directory if nothing is left in it.
pub(super) fn forget(layout: &Layout) -> Result<(), String> {
    remove_settings().map_err(|error| format!("cannot remove the operator's setting: {error}"))?;
    // A configuration that somebody wrote stays, and the directory with it.
    let _ = std::fs::remove_dir(layout.root());
    Ok(())
}

pub(super) fn start() -> Result<(String, Settings), String> {
    let service =
        needed(ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG | ServiceAccess::START)?;
    if state(&service)? != ServiceState::Running {
        service.start::<&str>(&[]).map_err(|error| told("start the service", &error))?;
        wait_for(&service, ServiceState::Running)?;
    }
    Ok((format!("the service {NAME} runs"), settings(&service)))
}

pub(super) fn stop() -> Result<(String, Settings), String> {
    let service =
        needed(ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG | ServiceAccess::STOP)?;
    end(&service)?;
    Ok((format!("the service {NAME} is stopped"), settings(&service)))
}

pub(super) fn doctor(fix: bool) -> Vec<Finding> {
    let finding =
        |what: &str, problem: String| Finding { what: what.to_owned(), problem, mended: None };
    let service =
        match open(if fix { ServiceAccess::ALL_ACCESS } else { ServiceAccess::QUERY_CONFIG }) {
            Ok(Some(service)) => service,
            Ok(None) if fix => {
                return vec![repaired(finding("service", "is not registered".to_owned()))];
            }
            Ok(None) => {
                return vec![finding(
                    "service",
                    "is not registered: agentctl service install".to_owned(),
                )];
            }
            Err(why) => return vec![finding("service control manager", why)],
        };
    let wrong = compare(&service);
    if !fix || wrong.is_empty() {
        return wrong.into_iter().map(|(what, problem)| finding(what, problem)).collect();
    }
    wrong.into_iter().map(|(what, problem)| repaired(finding(what, problem))).collect()
}

/// Installs anew, which sets every setting; what it could not set stays unmended.
fn repaired(finding: Finding) -> Finding {
    match install() {
        Ok(_) => Finding { mended: Some("registered anew".to_owned()), ..finding },
        Err(why) => Finding { problem: format!("{}: {why}", finding.problem), ..finding },
    }
}

/// What the SCM says differently from what this program would register.
fn compare(service: &Service) -> Vec<(&'static str, String)> {
    let (Ok(is), Ok(wanted)) = (service.query_config(), wanted()) else {
        return vec![("service", "its configuration cannot be read".to_owned())];
    };
    let mut wrong: Vec<_> = [path(&is, &wanted), start_type(&is), account(&is)]
        .into_iter()
        .flatten()
        .chain(recovery(service))
        .chain(rights(service))
        .collect();
    if !has_event_source() {
        wrong.push(("event source", format!("{EVENT_SOURCE} is not registered")));
    }
    wrong
}

type Wrong = (&'static str, String);

/// The registration quotes a path that has blanks, and only such a one.
fn path(is: &ServiceConfig, wanted: &ServiceInfo) -> Option<Wrong> {
    let (path, registered) =
        (wanted.executable_path.display(), is.executable_path.display().to_string());
    let forms = [format!("\"{path}\" service"), format!("{path} service")];
    let allowed = if forms[1].split(' ').count() > 2 { 1 } else { 2 };
    let is_good = forms.iter().take(allowed).any(|form| registered.eq_ignore_ascii_case(form));
    (!is_good).then(|| ("path", format!("is {registered}, not {}", forms[0])))
}

fn start_type(is: &ServiceConfig) -> Option<Wrong> {
    let is_good = is.start_type == ServiceStartType::AutoStart;
    (!is_good).then(|| ("start", format!("is {:?}, not automatic", is.start_type)))
}

fn account(is: &ServiceConfig) -> Option<Wrong> {
    let account = is.account_name.clone().unwrap_or_default();
    let is_good = account.eq_ignore_ascii_case(ACCOUNT);
    (!is_good).then(|| ("account", format!("is {}, not {ACCOUNT}", account.to_string_lossy())))
}

/// What the SCM does not tell is not wrong: [`settings`] says that it is not verifiable.
fn recovery(service: &Service) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if let Ok(false) = service.get_failure_actions_on_non_crash_failures() {
        wrong.push(("recovery", "does not act on exits with an error".to_owned()));
    }
    if service
        .get_failure_actions()
        .is_ok_and(|actions| actions.actions.as_deref().unwrap_or_default() != restarts())
    {
        wrong.push(("recovery", "is not restarts after 1 s, 10 s and 60 s".to_owned()));
    }
    if has_delayed_start(NAME).is_ok_and(|is_delayed| !is_delayed) {
        wrong.push(("start", "does not wait until the host is up".to_owned()));
    }
    if let Ok(timeout) = preshutdown_timeout(NAME)
        && timeout != PRESHUTDOWN
    {
        wrong.push(("preshutdown", format!("is {timeout:?}, not {PRESHUTDOWN:?}")));
    }
    wrong
}

fn rights(service: &Service) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if service
        .get_config_service_sid_info()
        .is_ok_and(|kind| !matches!(kind, ServiceSidType::Unrestricted))
    {
        wrong.push(("service SID", "is not on".to_owned()));
    }
    if let Ok(kept) = required_privileges(NAME)
        && kept != PRIVILEGES
    {
        let kept = if kept.is_empty() { "all of its account".to_owned() } else { kept.join(", ") };
        wrong.push(("privileges", format!("are {kept}, not {}", PRIVILEGES.join(", "))));
    }
    wrong
}

fn wanted() -> Result<ServiceInfo, String> {
    let agentctl =
        std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let agentd = agentctl.with_file_name("agentd.exe");
    if !agentd.is_file() {
        return Err(format!(
            "there is no {}: put agentd.exe beside agentctl.exe",
            agentd.display()
        ));
    }
    Ok(registration(agentd))
}

/// The registration of this program.
fn registration(agentd: PathBuf) -> ServiceInfo {
    ServiceInfo {
        name: NAME.into(),
        display_name: DISPLAY_NAME.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: agentd,
        launch_arguments: vec!["service".into()],
        dependencies: Vec::new(),
        account_name: Some(OsString::from(ACCOUNT)),
        account_password: None,
    }
}

/// Sets what a registration does not hold; returns what the SCM refused.
fn furnish(service: &Service) -> Vec<&'static str> {
    let steps = [
        ("description", service.set_description(DESCRIPTION)),
        ("delayed start", service.set_delayed_auto_start(true)),
        ("recovery", service.update_failure_actions(failure_actions())),
        ("recovery on errors", service.set_failure_actions_on_non_crash_failures(true)),
        ("service SID", service.set_config_service_sid_info(ServiceSidType::Unrestricted)),
        ("preshutdown", service.set_preshutdown_timeout(PRESHUTDOWN)),
    ];
    let beside = [
        ("privileges", require_privileges(NAME)),
        ("directories", furnish_directories(&Layout::new(None))),
        ("registry key", furnish_settings_key()),
        ("event source", furnish_event_source()),
    ];
    let refused = steps.into_iter().filter_map(|(what, done)| done.is_err().then_some(what));
    refused
        .chain(beside.into_iter().filter_map(|(what, done)| done.is_err().then_some(what)))
        .collect()
}

/// What happens when the service crashes or exits with an error.
fn failure_actions() -> ServiceFailureActions {
    ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(COUNT_ANEW),
        reboot_msg: None,
        command: None,
        actions: Some(restarts().into()),
    }
}

fn restarts() -> [ServiceAction; 3] {
    RESTARTS.map(|delay| ServiceAction { action_type: ServiceActionType::Restart, delay })
}

/// What the SCM says now.
fn settings(service: &Service) -> Settings {
    const UNKNOWN: &str = "not verifiable here";
    let mut map = serde_json::Map::new();
    let mut put = |key: &str, value: Option<String>| {
        map.insert(key.to_owned(), value.unwrap_or_else(|| UNKNOWN.to_owned()).into())
    };
    let config = service.query_config().ok();
    put("state", service.query_status().ok().map(|status| format!("{:?}", status.current_state)));
    put("path", config.as_ref().map(|config| config.executable_path.display().to_string()));
    put("start", config.as_ref().map(|config| format!("{:?}", config.start_type)));
    put(
        "account",
        config
            .and_then(|config| config.account_name)
            .map(|name| name.to_string_lossy().into_owned()),
    );
    let recovery = service.get_failure_actions().ok().and_then(|actions| actions.actions);
    put("recovery", recovery.map(|actions| format!("{} restarts", actions.len())));
    put(
        "recovery on errors",
        service.get_failure_actions_on_non_crash_failures().ok().map(|is_on| is_on.to_string()),
    );
    put("service SID", service.get_config_service_sid_info().ok().map(|kind| format!("{kind:?}")));
    put("delayed start", has_delayed_start(NAME).ok().map(|is_delayed| is_delayed.to_string()));
    put("preshutdown", preshutdown_timeout(NAME).ok().map(|timeout| format!("{timeout:?}")));
    put("privileges", required_privileges(NAME).ok().map(|kept| kept.join(", ")));
    put("event source", Some(has_event_source().to_string()));
    Settings(map)
}

fn manager(access: ServiceManagerAccess) -> Result<ServiceManager, String> {
    ServiceManager::local_computer(None::<&str>, access)
        .map_err(|error| told("reach the service control manager", &error))
}

/// The service, or `None` where none is registered.
fn open(access: ServiceAccess) -> Result<Option<Service>, String> {
    match manager(ServiceManagerAccess::CONNECT)?.open_service(NAME, access) {
        Ok(service) => Ok(Some(service)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(told("open the service", &error)),
    }
}

/// Whether there is no service, or only somebody's handle keeps what was removed.
fn is_gone(error: &windows_service::Error) -> bool {
    let windows_service::Error::Winapi(error) = error else { return false };
    matches!(error.raw_os_error(), Some(NOT_THERE | LEAVING))
}

fn needed(access: ServiceAccess) -> Result<Service, String> {
    open(access)?.ok_or_else(|| format!("there is no service {NAME}: agentctl service install"))
}

fn state(service: &Service) -> Result<ServiceState, String> {
    let status =
        service.query_status().map_err(|error| told("ask for the service's state", &error))?;
    Ok(status.current_state)
}

fn end(service: &Service) -> Result<(), String> {
    if state(service)? == ServiceState::Stopped {
        return Ok(());
    }
    service.stop().map_err(|error| told("stop the service", &error))?;
    wait_for(service, ServiceState::Stopped)
}

fn wait_for(service: &Service, wanted: ServiceState) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let is = state(service)?;
        if is == wanted {
            return Ok(());
        }
        if is == ServiceState::Stopped {
            return Err("the service ended at once: its log says why".to_owned());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(format!("the service is not {wanted:?} after {PATIENCE:?}"))
}

fn told(what: &str, error: &windows_service::Error) -> String {
    let cause =
        std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("cannot {what}: {error}{cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENTD: &str = r"C:\Program Files\Candor\agentd.exe";

    /// What the SCM would say of a registration with this command line.
    fn registered(command: &str) -> ServiceConfig {
        let wanted = registration(AGENTD.into());
        ServiceConfig {
            service_type: wanted.service_type,
            start_type: wanted.start_type,
            error_control: wanted.error_control,
            executable_path: command.into(),
            load_order_group: None,
            tag_id: 0,
            dependencies: Vec::new(),
            account_name: wanted.account_name,
            display_name: wanted.display_name,
        }
    }

    #[test]
    fn the_service_has_a_process_and_an_account_of_its_own_and_starts_by_itself() {
        let info = registration(AGENTD.into());
        assert_eq!(info.service_type, ServiceType::OWN_PROCESS);
        assert_eq!(info.start_type, ServiceStartType::AutoStart);
        assert_eq!(info.account_name.as_deref(), Some(r"NT SERVICE\candor".as_ref()));
        assert_eq!(info.account_password, None);
        assert_eq!(info.launch_arguments, ["service"]);
        assert_eq!(info.name, NAME);
    }

    #[test]
    fn it_is_started_again_after_one_ten_and_sixty_seconds_counted_anew_each_day() {
        let actions = failure_actions();
        let delays: Vec<_> = actions
            .actions
            .unwrap()
            .into_iter()
            .map(|action| {
                assert_eq!(action.action_type, ServiceActionType::Restart);
                action.delay.as_secs()
            })
            .collect();
        assert_eq!(delays, [1, 10, 60]);
        assert_eq!(
            actions.reset_period,
            ServiceFailureResetPeriod::After(Duration::from_hours(24))
        );
        assert_eq!((actions.reboot_msg, actions.command), (None, None));
    }

    #[test]
    fn it_has_two_privileges_and_no_other() {
        assert_eq!(PRIVILEGES, ["SeChangeNotifyPrivilege", "SeImpersonatePrivilege"]);
    }

    #[test]
    fn a_path_with_blanks_that_is_not_quoted_is_a_finding() {
        let wanted = registration(AGENTD.into());
        let quoted = registered(&format!("\"{AGENTD}\" service"));
        assert_eq!(path(&quoted, &wanted), None);
        for other in [
            format!("{AGENTD} service"),
            format!("\"{AGENTD}\" run"),
            r"C:\evil.exe service".to_owned(),
        ] {
            assert!(path(&registered(&other), &wanted).is_some(), "{other}");
        }
        let short = registration(r"C:\Candor\agentd.exe".into());
        assert_eq!(path(&registered(r"C:\Candor\agentd.exe service"), &short), None);
    }

    #[test]
    fn another_account_or_start_is_a_finding() {
        let good = registered("");
        assert_eq!((start_type(&good), account(&good)), (None, None));
        let by_hand = ServiceConfig { start_type: ServiceStartType::OnDemand, ..good };
        assert!(start_type(&by_hand).unwrap().1.contains("not automatic"));
        let system = ServiceConfig { account_name: Some("LocalSystem".into()), ..by_hand };
        assert!(account(&system).unwrap().1.contains("LocalSystem"));
    }
}
