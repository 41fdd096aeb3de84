//! Taking over a project that somebody else made: its default branch, and the database and role that the target names.

use std::time::Duration;

use serde::Deserialize;
use starsystem_provisioner::{Failure, Recorded, Request, pages};

use crate::api::{self, Place};
use crate::attributes::{Attributes, Seen};
use crate::target::Target;

const BRANCHES_PER_PAGE: usize = 100;

#[derive(Deserialize)]
struct Branch {
    id: String,
    name: String,
    #[serde(default)]
    default: bool,
}

/// The record of a project; `None` when there is none of this id.
pub(crate) fn project(
    target: &Target,
    id: String,
) -> Result<Option<Recorded<Attributes>>, Failure> {
    let mut place = Place {
        project_id: id,
        org_id: None,
        branch_id: String::new(),
        database: target.database.clone(),
        role: target.role(),
    };
    let Some(project) = api::project(&place)? else { return Ok(None) };
    place.org_id = project.org_id;
    let id = &place.project_id;
    let branch = branches(id)?.into_iter().find(|branch| branch.default);
    let Some(branch) = branch else {
        return Err(Failure::broken(format!("the Neon project {id} has no default branch")));
    };
    place.branch_id = branch.id;
    let Some(seen) = Seen::of(&place, Duration::ZERO)? else { return Ok(None) };
    for (there, field, name) in
        [(seen.database, "database", &place.database), (seen.role, "role", &place.role)]
    {
        if !there {
            return Err(Failure::invalid(format!(
                "the Neon project {id} has no {field} `{name}` on its branch `{}`: set `{field}` to the name of the \
                 one it has",
                branch.name
            )));
        }
    }
    seen.check(&place, target)?;
    Ok(Some(seen.record(&place, &target.kept())))
}

fn branches(project_id: &str) -> Result<Vec<Branch>, Failure> {
    #[derive(Deserialize)]
    struct Page {
        branches: Vec<Branch>,
        pagination: Option<Next>,
    }
    #[derive(Deserialize)]
    struct Next {
        next: Option<String>,
    }
    pages(|cursor| {
        let request = Request::new("listBranches")
            .param("project_id", project_id)
            .param("limit", BRANCHES_PER_PAGE)
            .maybe("cursor", cursor);
        let Some(page) = api::get::<Page>(request, "list the branches")? else {
            return Ok((Vec::new(), None));
        };
        let full = page.branches.len() >= BRANCHES_PER_PAGE;
        Ok((page.branches, page.pagination.and_then(|page| page.next).filter(|_| full)))
    })
}
