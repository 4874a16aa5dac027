"""Reads and answers what all of these do, with Powertools for AWS Lambda."""

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

app = APIGatewayHttpResolver()


@app.get("/hello/<name>")
def hello(name):
    return {"hello": name}


@app.get("/items/<id>")
def show(id):
    event = app.current_event
    cookies = dict(cookie.split("=", 1) for cookie in event.cookies)
    return {
        "method": event.http_method,
        "path": event.path,
        "id": id,
        "colour": event.query_string_parameters["colour"],
        "page": event.query_string_parameters["page"],
        "agent": event.headers["user-agent"],
        "session": cookies["session"],
    }


@app.post("/items")
def create():
    event = app.current_event
    order = event.json_body
    return {
        "method": event.http_method,
        "path": event.path,
        "agent": event.headers["user-agent"],
        "customer": order["customer"],
        "count": len(order["items"]),
    }


def lambda_handler(event, context):
    return app.resolve(event, context)
