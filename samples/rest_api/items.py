"""A table of items behind a REST API: list, create, read, replace and delete."""

from itertools import count

from pydantic import BaseModel, Field

from portable_fn import HTTPError, Request, Response, on, portable


class NewItem(BaseModel):
    name: str = Field(min_length=1)
    price: float = Field(ge=0)


class Item(NewItem):
    id: int


# Lives as long as the process; a real one is a database.
table: dict[int, Item] = {}
ids = count(1)


@portable(on.http("GET", "/items"))
def list_items(request: Request) -> dict:
    """One page: at most ?limit items after the id ?after, and where the next page is."""
    limit = number(request, "limit", default=20)
    after = number(request, "after", default=0)
    page = [item for id, item in sorted(table.items()) if id > after][: limit + 1]
    is_last = len(page) <= limit
    page = page[:limit]
    return {"items": page, "next": None if is_last else f"/items?limit={limit}&after={page[-1].id}"}


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
    """The item of the path; 404 where there is none."""
    id = request.params["id"]
    if not id.isdecimal() or int(id) not in table:
        raise HTTPError(404, f"There is no item {id}.")
    return table[int(id)]


def number(request: Request, name: str, default: int) -> int:
    """A query parameter from 0 to 100, or any id; 422 for anything else."""
    text = request.query.get(name, str(default))
    if not text.isdecimal() or (name == "limit" and not 1 <= int(text) <= 100):
        raise HTTPError(422, f"{name} is not {text!r} but a number{' from 1 to 100' if name == 'limit' else ''}.")
    return int(text)
