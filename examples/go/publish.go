// Publishes an event. Usage: go run . acme post.created '{"id": 123}'
package main

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log"
	"os"

	amqp "github.com/rabbitmq/amqp091-go"
)

func main() {
	tenant, eventType, data := os.Args[1], os.Args[2], os.Args[3]
	url := cmp.Or(os.Getenv("SIGNPOST_AMQP_URL"), "amqp://guest:guest@127.0.0.1:5672/%2f")
	id := "evt-" + rand.Text() // after a failure publish with the same id again: it is delivered once

	connection := must(amqp.Dial(url))
	defer connection.Close()
	channel := must(connection.Channel())
	if err := channel.Confirm(false); err != nil {
		log.Fatal(err)
	}
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	confirm := must(channel.PublishWithDeferredConfirm("signpost.events", tenant+"."+eventType, true, false, amqp.Publishing{
		ContentType:  "application/json",
		DeliveryMode: amqp.Persistent,
		MessageId:    id,
		Body:         []byte(data),
	}))
	if !confirm.Wait() || len(returned) > 0 {
		log.Fatal("the broker did not take the event")
	}
	fmt.Println(id)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
