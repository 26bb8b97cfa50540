"""Permissions of roles: the table of docs/access.md, cell by cell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outrider.domain.access.permission import (
    ALL_PERMISSIONS,
    ASSIGNABLE_ROLES,
    AUTHENTICATED,
    Role,
    require,
)
from outrider.errors import NotFound, PermissionDenied
from support.builders import an_actor

TABLE = {
    "action.target.read": {Role.IAM_OWNER, Role.IAM_OWNER_VIEWER},
    "action.execution.read": {Role.IAM_OWNER, Role.IAM_OWNER_VIEWER},
    "iam.web_key.read": {Role.IAM_OWNER, Role.IAM_OWNER_VIEWER},
    "action.target.write": {Role.IAM_OWNER},
    "action.target.delete": {Role.IAM_OWNER},
    "action.execution.write": {Role.IAM_OWNER},
    "iam.web_key.write": {Role.IAM_OWNER},
    "iam.web_key.delete": {Role.IAM_OWNER},
    "event.write": {Role.IAM_OWNER, Role.EVENT_PUBLISHER},
    "interception.call": {Role.IAM_OWNER, Role.EVENT_PUBLISHER},
    "delivery.read": {Role.IAM_OWNER, Role.IAM_OWNER_VIEWER},
    "delivery.write": {Role.IAM_OWNER},
    "catalogue.write": {Role.IAM_OWNER, Role.EVENT_PUBLISHER},
    "iam.user.write": {Role.IAM_OWNER},
    "system.instance.read": {Role.SYSTEM_OWNER},
    "system.instance.write": {Role.SYSTEM_OWNER},
}
NOBODY = replace(an_actor(), roles=frozenset())


@pytest.mark.parametrize("permission", TABLE)
@pytest.mark.parametrize("role", Role)
def test_a_role_grants_what_the_table_says(role, permission):
    """
    No more and no less; who has some role and not the permission is told so.
    """
    if role in TABLE[permission]:
        require(an_actor(role), permission)
        return
    with pytest.raises(PermissionDenied) as refused:
        require(an_actor(role), permission)
    assert "No matching permissions found (AUTH-5mWD2)" == str(refused.value)


def test_the_table_names_every_permission():
    """
    One that is granted and not in the table would be nobody's decision.
    """
    assert TABLE.keys() == ALL_PERMISSIONS


def test_nobody_can_be_made_owner_of_the_system():
    """
    An instance's owner gives roles to accounts: none of them may reach other instances.
    """
    assert set(Role) - {Role.SYSTEM_OWNER} == set(ASSIGNABLE_ROLES)


@pytest.mark.parametrize("permission", TABLE)
def test_who_has_no_role_at_all_is_not_found(permission):
    """
    ZITADEL answers 404 to a valid token without any membership, and so do its clients' tests.
    """
    with pytest.raises(NotFound) as refused:
        require(NOBODY, permission)

    assert "membership not found (AUTHZ-cdgFk)" == str(refused.value)


def test_a_valid_token_is_enough_for_some_calls():
    """
    Whatever its account may do.
    """
    require(NOBODY, AUTHENTICATED)
    require(an_actor(Role.ORG_OWNER), AUTHENTICATED)


def test_several_roles_grant_what_each_grants():
    """
    An account that reads and publishes needs two, not the owner's.
    """
    actor = an_actor(Role.IAM_OWNER_VIEWER, Role.EVENT_PUBLISHER)

    assert {permission for permission, roles in TABLE.items() if roles & actor.roles} == {
        permission for permission in TABLE if actor.may(permission)
    }


def test_an_unknown_permission_is_nobodys():
    """
    A misspelt one must permit nothing.
    """
    assert not an_actor().may("action.target.reed")
