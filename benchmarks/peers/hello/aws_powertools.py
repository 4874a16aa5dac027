"""Says hello with Powertools for AWS Lambda."""

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

app = APIGatewayHttpResolver()


@app.get("/hello/<name>")
def hello(name):
    return {"hello": name, "from": "aws"}


def lambda_handler(event, context):
    return app.resolve(event, context)
