"""Says hello, written for azure-functions alone."""

import json

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="hello/{name}", methods=["GET"])
def hello(req: func.HttpRequest) -> func.HttpResponse:
    body = json.dumps({"hello": req.route_params["name"], "from": "azure"})
    return func.HttpResponse(body, mimetype="application/json")
