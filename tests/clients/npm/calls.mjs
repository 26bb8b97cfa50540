// Calls a server with ZITADEL's own packages over one transport, and prints what came back.
//
//   URL=http://127.0.0.1:8080 TOKEN=... node calls.mjs grpc|grpc-web|connect
//
// One JSON document on standard output: answers as protobuf's JSON, errors as code, text and detail.
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { createClientFor, NewAuthorizationBearerInterceptor, toJson } from "@zitadel/client";
import { createServerTransport } from "@zitadel/client/node";
import { createClientTransport } from "@zitadel/client/web";
import { ActionService } from "@zitadel/proto/zitadel/action/v2beta/action_service_pb.js";
import { TargetFieldName } from "@zitadel/proto/zitadel/action/v2beta/query_pb.js";
import { TextFilterMethod } from "@zitadel/proto/zitadel/filter/v2beta/filter_pb.js";
import { ErrorDetailSchema } from "@zitadel/proto/zitadel/message_pb.js";
import { ECDSACurve, RSABits, RSAHasher } from "@zitadel/proto/zitadel/webkey/v2/key_pb.js";
import { WebKeyService } from "@zitadel/proto/zitadel/webkey/v2/webkey_service_pb.js";
import { WebKeyService as BetaWebKeyService } from "@zitadel/proto/zitadel/webkey/v2beta/webkey_service_pb.js";

const { URL: baseUrl, TOKEN: token } = process.env;
const wire = process.argv[2];

const transports = {
  // gRPC over HTTP/2 without TLS.
  grpc: (bearer) => createServerTransport(bearer, { baseUrl }),
  "grpc-web": (bearer) => createClientTransport(bearer, { baseUrl }),
  // JSON, as the library's transport for Connect writes it by default.
  connect: (bearer) =>
    createConnectTransport({ baseUrl, interceptors: [NewAuthorizationBearerInterceptor(bearer)] }),
};

const transport = transports[wire](token);
const answers = {};

// Keeps what a call answers under a name, and returns the message.
async function call(name, method, request, service = ActionService) {
  const message = await createClientFor(service)(transport)[method](request);
  answers[name] = toJson(service.method[method].output, message);
  return message;
}

// Keeps the error of a call that must fail.
async function fails(name, method, request, service = ActionService, over = transport) {
  try {
    await createClientFor(service)(over)[method](request);
    answers[name] = "no error";
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const details = error.findDetails(ErrorDetailSchema).map(({ id, message }) => ({ id, message }));
    answers[name] = { code: Code[error.code], text: error.rawMessage, details };
  }
}

const webhook = {
  name: `audit over ${wire}`,
  endpoint: "http://127.0.0.1:1/hook",
  timeout: { seconds: 10n },
  targetType: { case: "restWebhook", value: { interruptOnError: true } },
};
const onEvent = (event) => ({
  conditionType: {
    case: "event",
    value: { condition: { case: "event", value: event } },
  },
});

async function targets() {
  const { id } = await call("created", "createTarget", webhook);
  await call("got", "getTarget", { id });
  await call("renamed", "updateTarget", { id, name: `renamed over ${wire}` });
  await call("rotated", "updateTarget", {
    id,
    targetType: { case: "restCall", value: {} },
    expirationSigningKey: {},
  });
  await call("got after updates", "getTarget", { id });
  const other = await call("other created", "createTarget", { ...webhook, name: `a ${wire} one` });
  const named = { targetName: `${wire}`, method: TextFilterMethod.CONTAINS };
  await call("listed", "listTargets", {
    pagination: { asc: true, limit: 10 },
    sortingColumn: TargetFieldName.NAME,
    filters: [
      { filter: { case: "inTargetIdsFilter", value: { targetIds: [id, other.id] } } },
      { filter: { case: "targetNameFilter", value: named } },
    ],
  });
  return [id, other.id];
}

async function executions(ids) {
  const condition = onEvent("user.human.added");
  await call("set", "setExecution", { condition, targets: ids });
  await call("executions", "listExecutions", {
    filters: [{ filter: { case: "targetFilter", value: { targetId: ids[0] } } }],
  });
  await call("functions", "listExecutionFunctions", {});
  await call("methods", "listExecutionMethods", {});
  await call("services", "listExecutionServices", {});
  await call("removed", "setExecution", { condition, targets: [] });
  await call("executions after", "listExecutions", {});
}

async function errors(id) {
  await fails("unknown target", "getTarget", { id: "1" });
  await fails("taken name", "createTarget", { ...webhook, name: `A ${wire} ONE` });
  await fails("no name", "createTarget", { ...webhook, name: "" });
  await fails("no type", "createTarget", { ...webhook, targetType: undefined });
  await fails("no time", "createTarget", { ...webhook, timeout: {} });
  await fails("page too large", "listTargets", { pagination: { limit: 1001 } });
  await fails("no condition", "setExecution", { targets: [id] });
  await fails("unknown event", "setExecution", { condition: onEvent("user.humn.added") });
  const condition = onEvent("user.human.added");
  await fails("unknown target of an execution", "setExecution", { condition, targets: ["1"] });
  await fails("wrong token", "getTarget", { id }, ActionService, transports[wire]("wrong"));
}

async function webKeys() {
  const rsa = { bits: RSABits.RSA_BITS_3072, hasher: RSAHasher.RSA_HASHER_SHA384 };
  const kinds = {
    "rsa key": { case: "rsa", value: rsa },
    "ecdsa key": { case: "ecdsa", value: { curve: ECDSACurve.ECDSA_CURVE_P256 } },
    "ed25519 key": { case: "ed25519", value: {} },
  };
  for (const [name, key] of Object.entries(kinds)) {
    await call(name, "createWebKey", { key }, WebKeyService);
  }
  const { id } = answers["ed25519 key"];
  await call("activated", "activateWebKey", { id }, WebKeyService);
  await call("web keys", "listWebKeys", {}, WebKeyService);
  await call("web keys of v2beta", "listWebKeys", {}, BetaWebKeyService);
  await fails("key of no size", "createWebKey", { key: { case: "rsa", value: {} } }, WebKeyService);
  await fails("unknown key", "activateWebKey", { id: "1" }, WebKeyService);
  await fails("active key", "deleteWebKey", { id }, WebKeyService);
  await call("deleted key", "deleteWebKey", { id: answers["rsa key"].id }, BetaWebKeyService);
  await call("web keys after", "listWebKeys", {}, WebKeyService);
}

const ids = await targets();
await executions(ids);
await errors(ids[0]);
for (const [index, id] of ids.entries()) await call(`deleted ${index}`, "deleteTarget", { id });
await fails("deleted target", "getTarget", { id: ids[0] });
await call("deleted again", "deleteTarget", { id: ids[0] });
await call("never there", "deleteTarget", { id: "1" });
await webKeys();

// An open HTTP/2 connection would keep the process alive.
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
