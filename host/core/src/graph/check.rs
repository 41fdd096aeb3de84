//! What is wrong between services: dependencies that lead nowhere or in circles, names that cannot be injected.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Index;
use super::sorted;
use crate::config::{Config, Service};
use crate::diag::{Code, Diagnostic, Problems, Span, Spanned, did_you_mean};
use crate::ident::ServiceId;
use crate::plan::Injection;

/// How many cycles are described at once.
const CYCLES_MAX: usize = 10;

/// Everything that is wrong between services.
pub fn check(config: &Config) -> Vec<Diagnostic> {
    let mut problems = Problems::default();
    let index = Index::new(config);
    for place in 0..index.len() {
        let service = index.service(place);
        check_dependencies(config, &index, service, &mut problems);
        check_names(service, &mut problems);
        check_sources(config, &index, service, &mut problems);
    }
    problems.extend(cycles(&index));
    check_sources_before(&index, &mut problems);
    problems.finish()
}

fn check_dependencies(
    config: &Config,
    index: &Index<'_>,
    service: &Service,
    problems: &mut Problems,
) {
    for Spanned { value: id, span } in &service.depends_on {
        if index.place(id).is_none() {
            problems.add(|| {
                let message = format!("`{}` depends on `{id}`, which is not a service", service.id);
                unknown(Code::UnknownDependency, message, id, *span, config, index)
            });
        }
    }
}

fn unknown(
    code: Code,
    message: String,
    id: &ServiceId,
    span: Span,
    config: &Config,
    index: &Index<'_>,
) -> Diagnostic {
    let diagnostic = Diagnostic::error(code, message).at(span, "no such service");
    if let Some(&removed) = config.removed.get(id) {
        return diagnostic
            .at(removed, "taken away here")
            .help(format!("to leave `{id}` out of this environment, give it no `target` instead"));
    }
    diagnostic.help(
        did_you_mean(id.as_str(), index.names())
            .unwrap_or_else(|| format!("add `{id}` to `services`, or take it out here")),
    )
}

/// Names that `env` sets too, and names that come from two services.
fn check_names(service: &Service, problems: &mut Problems) {
    let mut first: BTreeMap<&str, &Spanned<Injection>> = BTreeMap::new();
    let env = service.target.as_ref().and_then(|target| target.fields.get("env"));
    for input in &service.inject_from {
        let name = input.value.name.as_str();
        if let Some(other) = first.insert(name, input) {
            problems.add(|| {
                let message = format!(
                    "`{name}` is injected into `{}` from `{}` and from `{}`",
                    service.id, other.value.source, input.value.source
                );
                Diagnostic::error(Code::NameTwice, message)
                    .at(input.span, "again here")
                    .at(other.span, "first here")
                    .help("a name has one value: keep one of them")
            });
        }
        if env.and_then(|env| env.get(name)).is_some() {
            let target = service.target.as_ref().expect("its `env` was just looked into");
            problems.add(|| {
                let message = format!(
                    "`{name}` is injected into `{}` from `{}`, but `env` sets it too",
                    service.id, input.value.source
                );
                Diagnostic::error(Code::NameClash, message)
                    .at(target.key_span_of(&format!("/env/{name}")), "set here")
                    .at(input.span, "injected here")
                    .help(format!("take `{name}` out of `env`, or out of `inject_from`"))
            });
        }
    }
}

/// Sources that do not exist, and sources that give nothing because they are skipped.
fn check_sources(config: &Config, index: &Index<'_>, service: &Service, problems: &mut Problems) {
    let mut said = BTreeSet::new();
    let env = config.environment.as_ref().map(|env| format!(" --env={env}")).unwrap_or_default();
    for Spanned { value: input, span } in &service.inject_from {
        let source = &input.source;
        if !said.insert(source) {
            continue;
        }
        match index.place(source).map(|place| index.service(place)) {
            None => problems.add(|| {
                let message =
                    format!("`{}` injects from `{source}`, which is not a service", service.id);
                unknown(Code::UnknownSource, message, source, *span, config, index)
            }),
            Some(giver) if giver.target.is_none() && service.target.is_some() => {
                problems.add(|| {
                    let message = format!(
                        "`{}` injects `{}` from `{source}`, which has no target here",
                        service.id, input.name
                    );
                    Diagnostic::warning(Code::SourceWithoutTarget, message)
                        .at(*span, "")
                        .at(giver.span, "not deployed in this environment")
                        .help(format!(
                            "give `{source}` a target, or put the value into the vault: `ss vault set {source}.{}{env}`",
                            input.name
                        ))
                });
            }
            Some(_) => {}
        }
    }
}

/// Sources that are not deployed before the service, directly or through others.
///
/// Sources that are direct dependencies are settled at once. The others are followed 64 at a time, one bit each,
/// in one pass over the services.
fn check_sources_before(index: &Index<'_>, problems: &mut Problems) {
    let order = sorted(index);
    let mut far: BTreeMap<usize, Vec<(usize, &Spanned<Injection>)>> = BTreeMap::new();
    for &place in &order {
        let direct: BTreeSet<usize> = index.below(place).iter().copied().collect();
        let mut said = BTreeSet::new();
        for input in &index.service(place).inject_from {
            let Some(source) = index.place(&input.value.source) else { continue };
            if !direct.contains(&source) && said.insert(source) {
                far.entry(source).or_default().push((place, input));
            }
        }
    }
    let far: Vec<_> = far.into_iter().collect();
    for group in far.chunks(64) {
        let reached = reached(index, &order, group.iter().map(|(source, _)| *source));
        for (bit, (source, users)) in group.iter().enumerate() {
            for (place, input) in users.iter().filter(|(place, _)| reached[*place] >> bit & 1 == 0)
            {
                problems.add(|| not_before(index.service(*place), index.service(*source), input));
            }
        }
    }
}

/// For each service, which of up to 64 sources it stands on.
fn reached(index: &Index<'_>, order: &[usize], sources: impl Iterator<Item = usize>) -> Vec<u64> {
    let mut own = vec![0_u64; index.len()];
    for (bit, source) in sources.enumerate() {
        own[source] = 1 << bit;
    }
    let mut reached = vec![0_u64; index.len()];
    for &place in order {
        reached[place] =
            index.below(place).iter().fold(0, |bits, &below| bits | reached[below] | own[below]);
    }
    reached
}

fn not_before(service: &Service, source: &Service, input: &Spanned<Injection>) -> Diagnostic {
    let message =
        format!("`{}` injects from `{}`, but does not depend on it", service.id, source.id);
    let diagnostic = Diagnostic::error(Code::SourceNotBefore, message)
        .at(input.span, format!("`{}` must be deployed first", source.id));
    if service.id == source.id {
        return diagnostic.help("a service cannot inject from itself");
    }
    let mut ids: Vec<&str> =
        service.depends_on.iter().map(|dependency| dependency.value.as_str()).collect();
    ids.push(source.id.as_str());
    diagnostic.help(format!("in `{}`, write `depends_on: [{}]`", service.id, ids.join(", ")))
}

/// The circles among the services, each with its path.
///
/// A depth-first walk with its own stack; a dependency on a service that is still open closes a circle.
pub(super) fn cycles(index: &Index<'_>) -> Vec<Diagnostic> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; index.len()];
    let mut in_cycle = vec![false; index.len()];
    let mut found = Vec::new();
    for start in 0..index.len() {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::Open;
        // Each entry: a service, and how many of its dependencies were looked at.
        let mut stack = vec![(start, 0)];
        while let Some((place, looked)) = stack.last_mut() {
            let place = *place;
            let Some(&next) = index.below(place).get(*looked) else {
                marks[place] = Mark::Done;
                stack.pop();
                continue;
            };
            *looked += 1;
            match marks[next] {
                Mark::New => {
                    marks[next] = Mark::Open;
                    stack.push((next, 0));
                }
                Mark::Open if !in_cycle[next] && found.len() < CYCLES_MAX => {
                    let from = stack.iter().position(|(open, _)| *open == next);
                    let path: Vec<usize> =
                        stack[from.unwrap_or(0)..].iter().map(|(open, _)| *open).collect();
                    for &member in &path {
                        in_cycle[member] = true;
                    }
                    found.push(cycle(index, &path));
                }
                Mark::Open | Mark::Done => {}
            }
        }
    }
    found
}

fn cycle(index: &Index<'_>, path: &[usize]) -> Diagnostic {
    // The circle begins with the service that stands first in the file.
    let first = path.iter().enumerate().min_by_key(|(_, place)| **place).map_or(0, |(at, _)| at);
    let places: Vec<usize> = path[first..].iter().chain(&path[..=first]).copied().collect();
    let names: Vec<&str> =
        places.iter().take(20).map(|&place| index.service(place).id.as_str()).collect();
    let more = if places.len() > 20 { " → …" } else { "" };
    let message = match path {
        [one] => format!("`{}` depends on itself", index.service(*one).id),
        _ => format!("services depend on each other in a circle: {}{more}", names.join(" → ")),
    };
    let help = match path {
        [one] => format!("take `{}` out of its own `depends_on`", index.service(*one).id),
        _ => "take one of these dependencies out".to_owned(),
    };
    let mut diagnostic = Diagnostic::error(Code::Cycle, message);
    for pair in places.windows(2).take(5) {
        let (service, below) = (index.service(pair[0]), index.service(pair[1]));
        let dependency = service.depends_on.iter().find(|one| one.value == below.id);
        let span = dependency.map_or(service.span, |dependency| dependency.span);
        diagnostic = diagnostic.at(span, format!("`{}` depends on `{}`", service.id, below.id));
    }
    diagnostic.help(help)
}

/// Injected names against what the source's target type gives, for the types that are known.
pub fn check_outputs(
    config: &Config,
    outputs: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<Diagnostic> {
    let mut problems = Problems::default();
    for service in config.services.values() {
        for Spanned { value: input, span } in &service.inject_from {
            let target = config.services.get(&input.source).and_then(|giver| giver.target.as_ref());
            let Some(kind) = target.map(|target| &target.kind.value) else { continue };
            let Some(known) = outputs.get(kind).filter(|known| !known.contains(&input.name)) else {
                continue;
            };
            problems.add(|| {
                let message = format!("`{}` ({kind}) does not give `{}`", input.source, input.name);
                let help = did_you_mean(&input.name, known.iter().map(String::as_str))
                    .unwrap_or_else(|| match known.len() {
                        0 => format!("the target `{kind}` gives nothing"),
                        _ => format!("it gives {}", super::list(known.iter().map(String::as_str))),
                    });
                Diagnostic::error(Code::UnknownOutput, message).at(*span, "").help(help)
            });
        }
    }
    problems.finish()
}
