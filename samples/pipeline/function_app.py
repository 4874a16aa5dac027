from datetime import timedelta

import azure.durable_functions as df

from pipeline import reserve
from portable_fn_azure import entry

app = entry(reserve)
workflow = df.Blueprint()


@workflow.orchestration_trigger(context_name="context")
def order(context: df.DurableOrchestrationContext):
    """Reserve an order's goods. Refuse an order that can't be filled; retry if the shelf is locked."""
    for seconds in (1, 2, 4, None):
        try:
            return (yield context.call_activity("reserve", context.get_input()))
        except Exception as error:
            # Durable raises the class Exception for every failure, with the error's own name in the text.
            if "OutOfStock:" in str(error):
                return {"refused": "OutOfStock"}
            if "ShelfLocked:" not in str(error) or seconds is None:
                raise
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))


app.register_functions(workflow)
