// A function with AWS's aws-lambda-go: greets whom the event names.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type request struct {
	Name string `json:"name"`
}

type greeting struct {
	Greeting  string `json:"greeting"`
	RequestID string `json:"request_id"`
	MemoryMB  int    `json:"memory_mb"`
}

func greet(ctx context.Context, r request) (*greeting, error) {
	if r.Name == "" {
		return nil, errors.New("nobody to greet")
	}
	fmt.Println("greeting", r.Name)
	about, _ := lambdacontext.FromContext(ctx)
	return &greeting{"Hello, " + r.Name + "!", about.AwsRequestID, lambdacontext.MemoryLimitInMB}, nil
}

func main() {
	lambda.Start(greet)
}
