# Publishes an event. Usage: pip install -r requirements.txt; python publish.py acme post.created '{"id": 123}'
import os
import sys
import uuid

import pika

tenant, event_type, data = sys.argv[1:]
url = os.environ.get("SIGNPOST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
event_id = f"evt-{uuid.uuid4()}"  # after a failure publish with the same id again: it is delivered once

with pika.BlockingConnection(pika.URLParameters(url)) as connection:
    channel = connection.channel()
    channel.confirm_delivery()  # from now on basic_publish waits for the confirm, and raises without one
    channel.basic_publish(
        exchange="signpost.events",
        routing_key=f"{tenant}.{event_type}",
        body=data,
        properties=pika.BasicProperties(content_type="application/json", delivery_mode=2, message_id=event_id),
        mandatory=True,
    )
print(event_id)
