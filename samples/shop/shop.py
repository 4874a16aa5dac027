from pydantic import BaseModel, Field

from portable_fn import Context, HTTPError, Message, ObjectEvent, Reject, Request, Retry, ScheduleEvent, on, portable

PRODUCTS = {
    "lamp": {"price": 40, "stock": 5, "picture": None},
    "desk": {"price": 200, "stock": 1, "picture": None},
}


class Order(BaseModel):
    sku: str
    count: int = Field(ge=1)


class SoldOut(Exception):
    pass


def take(order: Order) -> int:
    """Take the order from the stock, and return its price."""
    product = PRODUCTS[order.sku]
    if product["stock"] < order.count:
        raise SoldOut(f"{product['stock']} left of {order.sku}")
    product["stock"] -= order.count
    return order.count * product["price"]


@portable(on.http("GET", "/products/{sku}"))
def read_product(request: Request) -> dict:
    sku = request.params["sku"]
    if sku not in PRODUCTS:
        raise HTTPError(404, f"no product {sku}")
    return PRODUCTS[sku]


@portable(on.http("POST", "/orders"))
def order(request: Request[Order]) -> dict:
    if request.data.sku not in PRODUCTS:
        raise HTTPError(404, f"no product {request.data.sku}")
    try:
        return {"price": take(request.data)}
    except SoldOut as error:
        raise HTTPError(409, str(error)) from error


@portable(on.queue("orders", dead_letter="orders-dead"))
def ship(message: Message[Order]) -> None:
    if message.data.sku not in PRODUCTS:
        raise Reject(f"no product {message.data.sku}")
    try:
        take(message.data)
    except SoldOut as error:
        raise Retry(str(error), after=600) from error


@portable(on.object("pictures", "created", suffix=".png", via="picture-events", dead_letter="pictures-dead"))
def show_picture(upload: ObjectEvent) -> None:
    sku = upload.key.removesuffix(".png")
    if sku not in PRODUCTS:
        raise Reject(f"no product {sku}")
    PRODUCTS[sku]["picture"] = upload.key


@portable(on.schedule("0 6 * * *"))
def report(event: ScheduleEvent, ctx: Context) -> None:
    for sku, product in PRODUCTS.items():
        if product["stock"] < 3:
            ctx.log.warning("order more of %s: %s left", sku, product["stock"])
