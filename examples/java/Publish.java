// Publishes an event. Usage: mvn -q dependency:copy-dependencies -DoutputDirectory=lib; java -cp 'lib/*' Publish.java acme post.created '{"id": 123}'
import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.ConnectionFactory;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;

class Publish {
    public static void main(String[] args) throws Exception {
        var factory = new ConnectionFactory();
        factory.setUri(System.getenv().getOrDefault("SIGNPOST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f"));
        var id = "evt-" + UUID.randomUUID(); // after a failure publish with the same id again: it is delivered once
        var properties = new BasicProperties.Builder().contentType("application/json").deliveryMode(2).messageId(id).build();

        try (var connection = factory.newConnection(); var channel = connection.createChannel()) {
            var returned = new AtomicBoolean();
            channel.addReturnListener(message -> returned.set(true));
            channel.confirmSelect();
            channel.basicPublish("signpost.events", args[0] + "." + args[1], true, properties, args[2].getBytes(StandardCharsets.UTF_8));
            channel.waitForConfirmsOrDie(5_000);
            if (returned.get()) throw new IllegalStateException("nothing took the event");
        }
        System.out.println(id);
    }
}
