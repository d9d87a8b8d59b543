// Every building block by Dapr's own client for Node.js, over one protocol: node client.js http|grpc
// Writes "ok {what}" or "failed {what}: {why}" for each, then asks its sidecar to stop.
import assert from "node:assert/strict";
import { connect } from "node:net";
import dapr from "@dapr/dapr";

const { AbstractActor, ActorId, ActorProxyBuilder, CommunicationProtocolEnum, DaprPubSubStatusEnum, DaprServer, HttpMethod, LogLevel, Temporal } = dapr;
const isHttp = process.argv[2] === "http";
const logger = { level: LogLevel.Error };
const communicationProtocol = isHttp ? CommunicationProtocolEnum.HTTP : CommunicationProtocolEnum.GRPC;
const server = new DaprServer({
  serverHost: "127.0.0.1",
  serverPort: process.env.APP_PORT,
  communicationProtocol,
  clientOptions: {
    daprHost: "127.0.0.1",
    daprPort: isHttp ? process.env.DAPR_HTTP_PORT : process.env.DAPR_GRPC_PORT,
    communicationProtocol,
    logger,
    actor: { actorIdleTimeout: "1h", actorScanInterval: "30s", drainOngoingCallTimeout: "5s", drainRebalancedActors: true },
  },
  logger,
});
const { client } = server;

/** What came under a name; waits until there are so many. */
const inboxes = {};
function inbox(name) {
  return (inboxes[name] ??= { items: [], changed: () => {} });
}
function receive(name, item) {
  inbox(name).items.push(item);
  inbox(name).changed();
}
async function received(name, count) {
  while (inbox(name).items.length < count) {
    await new Promise((resolve) => (inbox(name).changed = resolve));
  }
  return inbox(name).items;
}

class CounterActor extends AbstractActor {
  async add(number) {
    const [, before] = await this.getStateManager().tryGetState("count");
    await this.getStateManager().setState("count", (before ?? 0) + number);
    return this.count();
  }

  async count() {
    const [, count] = await this.getStateManager().tryGetState("count");
    return count ?? 0;
  }

  async start() {
    await this.registerActorTimer("tick", "ticked", Temporal.Duration.from({ milliseconds: 10 }), Temporal.Duration.from({ seconds: 60 }), undefined, "by timer");
    await this.registerActorReminder("later", Temporal.Duration.from({ milliseconds: 10 }), Temporal.Duration.from({ seconds: 60 }), undefined, "by reminder");
  }

  async stop() {
    await this.unregisterActorTimer("tick");
    await this.unregisterActorReminder("later");
  }

  async ticked(data) {
    receive("timer", data);
  }

  async receiveReminder(data) {
    receive("reminder", data);
  }
}

const checks = {
  async health() {
    assert.equal(await client.health.isHealthy(), true);
  },

  async metadata() {
    await client.metadata.set("colour", "red");
    const metadata = await client.metadata.get();
    assert.equal(metadata.id, "node");
    const components = metadata.components ?? metadata.registeredComponents;
    assert.ok(components.some((component) => component.name === "store" && component.type === "state.in-memory"));
  },

  async state() {
    await client.state.save("store", [{ key: "a", value: { name: "first" } }, { key: "b", value: "second" }]);
    assert.deepEqual(await client.state.get("store", "a"), { name: "first" });
    const bulk = await client.state.getBulk("store", ["a", "b", "missing"]);
    assert.deepEqual(bulk.map((item) => item.data || null).sort((one, other) => String(one).localeCompare(String(other))), [{ name: "first" }, null, "second"]);
    const { etag } = bulk.find((item) => item.key === "a");
    await client.state.save("store", [{ key: "a", value: "third", etag }]);
    let refusal;
    try {
      refusal = (await client.state.save("store", [{ key: "a", value: "fourth", etag }])).error;
    } catch (error) {
      refusal = error;
    }
    assert.match(String(refusal), /etag/i);
    await client.state.delete("store", "a");
    assert.equal(await client.state.get("store", "a"), "");
  },

  async transaction() {
    await client.state.transaction("store", [
      { operation: "upsert", request: { key: "kept", value: "1" } },
      { operation: "upsert", request: { key: "gone", value: "2" } },
      { operation: "delete", request: { key: "gone" } },
    ]);
    assert.equal(String(await client.state.get("store", "kept")), "1");
    assert.equal(await client.state.get("store", "gone"), "");
  },

  async publish() {
    assert.equal((await client.pubsub.publish("pubsub", "orders", { id: 1 })).error, undefined);
    assert.equal((await client.pubsub.publish("pubsub", "orders", "plain", { contentType: "text/plain" })).error, undefined);
    const orders = await received("orders", 2);
    assert.deepEqual(orders, [{ id: 1 }, "plain"]);
  },

  async "publish in bulk"() {
    const { failedMessages } = await client.pubsub.publishBulk("pubsub", "bulk", [
      { entryID: "1", event: { id: 1 }, contentType: "application/json" },
      { entryID: "2", event: "two", contentType: "text/plain" },
    ]);
    assert.deepEqual(failedMessages, []);
    assert.deepEqual(await received("bulk", 2), [{ id: 1 }, "two"]);
  },

  async "subscribe in bulk"() {
    const ids = [1, 2, 3, 4];
    await client.pubsub.publishBulk("pubsub", "gathered", ids.map((id) => ({ id })));
    assert.deepEqual((await received("gathered", ids.length)).map(({ id }) => id).sort(), ids);
  },

  async "subscribe by rules"() {
    await client.pubsub.publish("pubsub", "ruled", { id: 1 }, { metadata: { "cloudevent.type": "big" } });
    await client.pubsub.publish("pubsub", "ruled", { id: 2 }, { metadata: { "cloudevent.type": "small" } });
    assert.deepEqual(await received("big", 1), [{ id: 1 }]);
    assert.deepEqual(await received("other", 1), [{ id: 2 }]);
  },

  async "dead letters"() {
    await client.pubsub.publish("pubsub", "refused", { id: 1 });
    assert.deepEqual(await received("dead", 1), [{ id: 1 }]);
  },

  async invoke() {
    assert.deepEqual(await client.invoker.invoke("node", "double", HttpMethod.POST, { number: 21 }), { double: 42 });
    assert.deepEqual(await client.invoker.invoke("node", "greeting", HttpMethod.GET), { greeting: "hello" });
  },

  async bindings() {
    await client.binding.send("files", "create", "hello", { fileName: `${process.argv[2]}.txt` });
    const answer = await client.binding.send("files", "get", undefined, { fileName: `${process.argv[2]}.txt` });
    assert.equal(isHttp ? answer : Buffer.from(answer.data).toString(), "hello");
    await received("clock", 1);
  },

  async secrets() {
    assert.deepEqual(await client.secret.get("secrets", "password"), { password: "geheim" });
    const all = await client.secret.getBulk("secrets");
    assert.ok(JSON.stringify(all).includes("geheim"));
  },

  async lock() {
    assert.equal((await client.lock.lock("locks", "printer", "one", 60)).success, true);
    assert.equal((await client.lock.lock("locks", "printer", "two", 60)).success, false);
    assert.equal((await client.lock.unlock("locks", "printer", "two")).status, 2);
    assert.equal((await client.lock.unlock("locks", "printer", "one")).status, 0);
    assert.equal((await client.lock.unlock("locks", "printer", "one")).status, 1);
  },
};

/** Calls of the client's generated stubs, for what it has no methods of its own. */
const stubs = () => client.daprClient.getClient();

// What the client has over one of the protocols alone.
const httpChecks = {
  async actors() {
    const actor = new ActorProxyBuilder(CounterActor, client).build(new ActorId("one"));
    assert.equal(await actor.add(1), 1);
    assert.equal(await actor.add(2), 3);
    await actor.start();
    assert.deepEqual(await received("timer", 1), ["by timer"]);
    assert.deepEqual(await received("reminder", 1), ["by reminder"]);
    await actor.stop();
    assert.equal(await actor.count(), 3);
  },
};
const grpcChecks = {
  async "streaming subscription"() {
    const waiting = [{ case: "initialRequest", value: { pubsubName: "pubsub", topic: "streamed" } }];
    let more = () => {};
    async function* requests() {
      for (;;) {
        while (waiting.length > 0) {
          yield { subscribeTopicEventsRequestType: waiting.shift() };
        }
        await new Promise((resolve) => (more = resolve));
      }
    }
    const end = new AbortController();
    const answers = (await stubs()).subscribeTopicEventsAlpha1(requests(), { signal: end.signal })[Symbol.asyncIterator]();
    const next = async () => (await answers.next()).value.subscribeTopicEventsResponseType;
    assert.equal((await next()).case, "initialResponse");
    for (const id of [1, 2]) {
      await client.pubsub.publish("pubsub", "streamed", { id });
      const event = await next();
      assert.equal(event.case, "eventMessage");
      assert.deepEqual(JSON.parse(Buffer.from(event.value.data).toString()), { id });
      waiting.push({ case: "eventProcessed", value: { id: event.value.id, status: { status: 0 } } });
      more();
    }
    end.abort();
  },

  async jobs() {
    const jobs = await stubs();
    await jobs.scheduleJobAlpha1({ job: { name: "later", dueTime: "1h", repeats: 1 } });
    assert.equal((await jobs.getJobAlpha1({ name: "later" })).job.name, "later");
    await jobs.deleteJobAlpha1({ name: "later" });
    await assert.rejects(jobs.getJobAlpha1({ name: "later" }));
  },

  async configuration() {
    await redis("SET colour red||1");
    assert.equal((await client.configuration.get("settings", ["colour"])).items.colour.value, "red");
    const stream = await client.configuration.subscribeWithKeys("settings", ["colour"], async ({ items }) => receive("settings", items.colour.value));
    while (!inbox("settings").items.includes("blue")) {
      const count = inbox("settings").items.length;
      await redis("SET colour blue||2");
      await Promise.race([received("settings", count + 1), new Promise((resolve) => setTimeout(resolve, 200))]);
    }
    await stream.stop();
  },
};

function redis(command) {
  return new Promise((resolve, reject) => {
    const connection = connect(Number(process.env.REDIS_PORT), "127.0.0.1", () => connection.write(`${command}\r\n`));
    connection.on("data", () => resolve(connection.end())).on("error", reject);
  });
}

await server.pubsub.subscribe("pubsub", "orders", async (data) => receive("orders", data));
await server.pubsub.subscribe("pubsub", "bulk", async (data) => receive("bulk", data));
await server.pubsub.subscribeBulk("pubsub", "gathered", async (data) => receive("gathered", data), { maxMessagesCount: 10, maxAwaitDurationMs: 100 });
await server.pubsub.subscribeWithOptions("pubsub", "ruled", { route: { rules: [{ match: 'event.type == "big"', path: "/big" }], default: "/other" } });
server.pubsub.subscribeToRoute("pubsub", "ruled", "/big", async (data) => receive("big", data));
server.pubsub.subscribeToRoute("pubsub", "ruled", "/other", async (data) => receive("other", data));
await server.pubsub.subscribeWithOptions("pubsub", "refused", { callback: async () => DaprPubSubStatusEnum.DROP, deadLetterTopic: "dead" });
await server.pubsub.subscribe("pubsub", "dead", async (data) => receive("dead", data));
await server.invoker.listen("double", async ({ body }) => ({ double: JSON.parse(typeof body === "string" ? body : JSON.stringify(body)).number * 2 }), {
  method: HttpMethod.POST,
});
await server.invoker.listen("greeting", async () => ({ greeting: "hello" }), { method: HttpMethod.GET });
await server.binding.receive("clock", async (data) => receive("clock", data));
if (isHttp) {
  await server.actor.init();
  await server.actor.registerActor(CounterActor);
}

await server.start();
// The client only waits until its sidecar answers: healthy it is when it has asked for the subscriptions.
while ((await fetch(`http://127.0.0.1:${process.env.DAPR_HTTP_PORT}/v1.0/healthz`)).status !== 204) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}

for (const [what, check] of Object.entries({ ...checks, ...(isHttp ? httpChecks : grpcChecks) })) {
  try {
    const limit = AbortSignal.timeout(20_000);
    await Promise.race([check(), new Promise((_, reject) => limit.addEventListener("abort", () => reject(new Error("nothing came in 20 seconds"))))]);
    console.log(`ok ${what}`);
  } catch (error) {
    console.log(`failed ${what}: ${error.stack}`);
  }
}

await client.sidecar.shutdown();
process.exit();
