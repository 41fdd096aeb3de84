//! Making the project exactly once: found again by the mark on its first branch, whatever got lost.

use serde::Deserialize;
use starsystem_provisioner::{
    Attempt, Ensured, Failure, FailureKind, Reply, Request, Service, checkpoint, ensure, json, log,
    pages, serde_json::Value, step,
};

use crate::api::{self, Branch, Endpoint, Place, Project};
use crate::attributes::Seen;
use crate::explain::explain;
use crate::operations::{self, Operation};
use crate::remove::Deleted;
use crate::target::Target;

/// The annotation that carries the service's mark; the manifest's `adopts` reads it too.
const MARK: &str = "ss_mark";
const SERVICE: &str = "ss_service";
/// The largest page Neon gives.
const PROJECTS_PER_PAGE: usize = 400;
const BRANCHES_PER_PAGE: usize = 100;

/// One line of the project list.
#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) org_id: Option<String>,
    pub(crate) deleted_at: Option<String>,
    pub(crate) recoverable_until: Option<String>,
}

#[derive(Deserialize)]
struct ProjectPage {
    projects: Vec<Listed>,
    #[serde(default, deserialize_with = "json::or_default")]
    unavailable_project_ids: Vec<String>,
    pagination: Option<Cursor>,
}

#[derive(Deserialize)]
struct Cursor {
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    project: Project,
    branch: Branch,
    #[serde(default, deserialize_with = "json::or_default")]
    endpoints: Vec<Endpoint>,
    #[serde(default, deserialize_with = "json::or_default")]
    operations: Vec<Operation>,
}

/// A project that was found or made, and what Neon still does to it.
struct Made {
    place: Place,
    operations: Vec<Operation>,
}

/// Finds or makes the project and waits until it is ready. The text begins the summary.
pub(crate) fn project(service: &Service<Target>) -> Result<(Place, &'static str), Failure> {
    let target = &service.target;
    let name = target.project_name(&service.id);
    let (made, summary) = match ensure(|| find(service, name), || create(service, name))? {
        Ensured::Created(made) => (made, "project created"),
        Ensured::Found(made) => {
            step!("Project found: {name}-{} (made by an earlier run)", made.place.project_id);
            (made, "project found")
        }
    };
    operations::wait_for(&made.place.project_id, &made.operations)?;
    Ok((made.place, summary))
}

/// The live project that carries the service's mark.
fn find(service: &Service<Target>, name: &str) -> Result<Option<Made>, Failure> {
    let target = &service.target;
    let mut ours = Vec::new();
    for listed in list(name, target.org_id.as_deref(), Deletion::Alive)? {
        if listed.name != name {
            continue;
        }
        match marked_branch(&listed.id, &service.mark)? {
            Annotated::With(branch_id) => ours.push((listed, branch_id)),
            Annotated::Otherwise | Annotated::Unreadable => {
                log!("{} is named `{name}` too and is not this service's", listed.id);
            }
        }
    }
    if let [(one, _), (two, _), ..] = ours.as_slice() {
        return Err(Failure::conflict(format!(
            "two Neon projects carry this service's mark, {} and {}: delete the one you do not need in the \
             Neon console, then deploy again",
            one.id, two.id
        )));
    }
    Ok(ours.pop().map(|(listed, branch_id)| Made {
        place: Place {
            project_id: listed.id,
            org_id: listed.org_id,
            branch_id,
            database: target.database.clone(),
            role: target.role(),
        },
        operations: Vec::new(),
    }))
}

fn create(service: &Service<Target>, name: &str) -> Result<Made, Attempt> {
    let target = &service.target;
    if !target.ignore_deleted {
        refuse_beside_deleted(service, name)?;
    }
    let reply = Request::new("createProject").json(&body(service, name)).send()?;
    if reply.is_ambiguous() {
        return Err(Attempt::Unknown(explain(&reply, "make the project")));
    }
    if !reply.is_success() {
        return Err(refusal(&reply, target).into());
    }
    // A success that cannot be read still made something.
    let created: Created = reply.json().map_err(Attempt::Unknown)?;
    let place = Place {
        project_id: created.project.id.clone(),
        org_id: created.project.org_id.clone(),
        branch_id: created.branch.id.clone(),
        database: target.database.clone(),
        role: target.role(),
    };
    let seen = Seen {
        project: created.project,
        branch: Some(created.branch),
        endpoint: api::writer(created.endpoints),
        database: true,
        role: true,
    };
    checkpoint(&seen.record(&place, &target.kept()));
    step!("Project created: {}-{}", seen.project.name, seen.project.id);
    Ok(Made { place, operations: created.operations })
}

fn body(service: &Service<Target>, name: &str) -> Value {
    let target = &service.target;
    let mut project = json!({
        "name": name,
        "region_id": target.region_id(),
        "pg_version": target.pg_version,
        "branch": {
            "name": target.branch,
            "database_name": target.database,
            "role_name": target.role(),
            "annotations": {MARK: service.mark, SERVICE: service.id},
        },
    });
    if let Some(org_id) = &target.org_id {
        project["org_id"] = json!(org_id);
    }
    // Neon's own default is more than its free plan allows: only what the user asks for is sent.
    if let Some(seconds) = target.history_retention_seconds {
        project["history_retention_seconds"] = json!(seconds);
    }
    if !target.sizing.is_empty() {
        project["default_endpoint_settings"] = json!(target.sizing);
    }
    json!({"project": project})
}

/// Why Neon refuses to make it. For a region, with those it knows.
fn refusal(reply: &Reply, target: &Target) -> Failure {
    let failure = explain(reply, "make the project");
    let about_region = reply.error_message().is_some_and(|text| text.contains("region"));
    if failure.kind != FailureKind::Invalid || !about_region {
        return failure;
    }
    let known = match regions(target.org_id.as_deref()) {
        Ok(known) if !known.is_empty() => format!("; it offers {}", known.join(", ")),
        _ => String::new(),
    };
    Failure::invalid(format!("Neon refuses the region `{}`{known}", target.region_id()))
}

fn regions(org_id: Option<&str>) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct Region {
        region_id: String,
    }
    #[derive(Deserialize)]
    struct Regions {
        regions: Vec<Region>,
    }
    let request = Request::new("listRegions").maybe("org_id", org_id);
    let listed: Regions = request.send()?.success("list the regions")?.json()?;
    Ok(listed.regions.into_iter().map(|region| region.region_id).collect())
}

/// A deleted project of this name may hold the user's data: an empty one beside it is never made silently.
fn refuse_beside_deleted(service: &Service<Target>, name: &str) -> Result<(), Failure> {
    let deleted = match list(name, service.target.org_id.as_deref(), Deletion::Recoverable) {
        Ok(deleted) => deleted,
        // Listing deleted projects is a beta feature of Neon: no account depends on it.
        Err(failure) if failure.kind == FailureKind::Invalid => {
            log!("deleted projects cannot be listed: {failure}");
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    for listed in deleted.into_iter().filter(|listed| listed.name == name) {
        if let Annotated::Otherwise = marked_branch(&listed.id, &service.mark)? {
            continue;
        }
        let id = listed.id.clone();
        let story = Deleted::from(listed).story();
        return Err(Failure::declined(format!(
            "a Neon project named `{name}` ({id}) was {story}. Recover it in the Neon console and deploy \
             again, or set `ignore_deleted: true` in the target to make a new, empty one"
        )));
    }
    Ok(())
}

/// Which projects a list shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    Alive,
    Recoverable,
}

/// All projects whose name or id contains a text.
pub(crate) fn list(
    search: &str,
    org_id: Option<&str>,
    which: Deletion,
) -> Result<Vec<Listed>, Failure> {
    pages(|cursor| {
        let reply = Request::new("listProjects")
            .param("search", search)
            .param("limit", PROJECTS_PER_PAGE)
            .maybe("org_id", org_id)
            .maybe("recoverable", (which == Deletion::Recoverable).then_some(true))
            .maybe("cursor", cursor)
            .send()?;
        if api::is_absent(&reply) {
            return Err(hidden(org_id));
        }
        if !reply.is_success() {
            return Err(explain(&reply, "list the projects"));
        }
        let page: ProjectPage = reply.json()?;
        if !page.unavailable_project_ids.is_empty() {
            return Err(Failure::unavailable(format!(
                "Neon could not list all projects just now ({} left out), so it is not certain that this \
                 service has none yet: deploy again in a minute",
                page.unavailable_project_ids.join(", ")
            )));
        }
        let full = page.projects.len() >= PROJECTS_PER_PAGE;
        let next = page.pagination.and_then(|pagination| pagination.cursor).filter(|_| full);
        Ok((page.projects, next))
    })
}

/// A list is never absent by itself: its organisation is.
fn hidden(org_id: Option<&str>) -> Failure {
    Failure::unauthorized(format!(
        "Neon does not show the organisation {} to this API key: check `org_id`, and whose key is stored as \
         `neon.api_token` or in the variable that `credential_env` names",
        org_id.unwrap_or("of the key")
    ))
}

/// Whose a project is.
enum Annotated {
    /// The service's: the branch that says so.
    With(String),
    /// Somebody else's.
    Otherwise,
    /// Its branches cannot be read.
    Unreadable,
}

fn marked_branch(project_id: &str, mark: &str) -> Result<Annotated, Failure> {
    #[derive(Deserialize)]
    struct BranchPage {
        #[serde(default, deserialize_with = "json::or_default")]
        branches: Vec<Value>,
        #[serde(default)]
        annotations: Value,
        pagination: Option<Next>,
    }
    #[derive(Deserialize)]
    struct Next {
        next: Option<String>,
    }
    let mut readable = true;
    let found = pages(|cursor| {
        let request = Request::new("listBranches")
            .param("project_id", project_id)
            .param("limit", BRANCHES_PER_PAGE)
            .maybe("cursor", cursor);
        let Some(page) = api::get::<BranchPage>(request, "list the branches")? else {
            readable = false;
            return Ok((Vec::new(), None));
        };
        let annotations = page.annotations.as_object().into_iter().flatten();
        let ours = annotations
            .filter(|(_, annotation)| {
                json::text_at(annotation, &format!("/value/{MARK}")) == Some(mark)
            })
            .map(|(branch_id, _)| branch_id.clone());
        let full = page.branches.len() >= BRANCHES_PER_PAGE;
        Ok((ours.collect(), page.pagination.and_then(|page| page.next).filter(|_| full)))
    })?;
    Ok(match found.into_iter().next() {
        Some(branch_id) => Annotated::With(branch_id),
        None if readable => Annotated::Otherwise,
        None => Annotated::Unreadable,
    })
}
