"""Serve a table of items as a REST API: list, create, read, replace and delete."""

from itertools import count

from pydantic import BaseModel, Field

from portable_fn import HTTPError, Request, Response, on, portable


class NewItem(BaseModel):
    name: str = Field(min_length=1)
    stock: int = Field(ge=0)


class Item(NewItem):
    id: int


# Lives as long as the process; a real one is a database.
table: dict[int, Item] = {}
ids = count(1)


@portable(on.http("GET", "/items"))
def list_items(request: Request) -> dict:
    """Return at most `limit` items with ids over `after`, and the link to the next page."""
    limit = min(max(number(request, "limit", default=20), 1), 100)
    after = number(request, "after", default=0)
    rest = [table[id] for id in sorted(table) if id > after]
    page = rest[:limit]
    return {"items": page, "next": f"/items?limit={limit}&after={page[-1].id}" if len(rest) > limit else None}


@portable(on.http("POST", "/items"))
def create_item(request: Request[NewItem]) -> Response:
    item = Item(id=next(ids), **request.data.model_dump())
    table[item.id] = item
    return Response.json(item, 201, {"location": f"/items/{item.id}"})


@portable(on.http("GET", "/items/{id}"))
def read_item(request: Request) -> Item:
    return find(request)


@portable(on.http("PUT", "/items/{id}"))
def replace_item(request: Request[NewItem]) -> Item:
    item = Item(id=find(request).id, **request.data.model_dump())
    table[item.id] = item
    return item


@portable(on.http("DELETE", "/items/{id}"))
def delete_item(request: Request) -> None:
    del table[find(request).id]


def find(request: Request) -> Item:
    """Return the item that the path names; 404 if it doesn't exist."""
    id = request.params["id"]
    try:
        return table[int(id)]
    except (KeyError, ValueError):
        raise HTTPError(404, f"There is no item {id}.") from None


def number(request: Request, name: str, default: int) -> int:
    """Return a whole number of the query; 422 for anything else."""
    text = request.query.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise HTTPError(422, f"{name} is a whole number, not {text[:20]!r}.") from None
