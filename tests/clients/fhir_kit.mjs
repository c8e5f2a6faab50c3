// Drives fhir-kit-client through its flows; prints one JSON line a step:
// {step, ok: value} or {step, status, issue, headers}. Judged by test_fhir_kit.py.
import { Client } from 'fhir-kit-client';

const [base, token, narrow, foreign, name, subscription] = process.argv.slice(2);
const client = new Client({ baseUrl: base, bearerToken: token });
const tell = (step, told) => console.log(JSON.stringify({ step, ...told }));

async function step(label, act) {
  try {
    const ok = await act();
    tell(label, { ok });
    return ok;
  } catch (error) {
    const data = error.response?.data;
    const issue = data?.issue?.[0]?.details?.coding?.[0]?.code ?? null;
    tell(label, { status: error.response?.status ?? null, issue, said: error.message });
    return undefined;
  }
}

const http = (answer) => Client.httpFor(answer).response;
const body = { resourceType: 'Patient', name: [{ text: name }], birthDate: '1990-01-01' };
const byName = { name };

await step('capabilities', async () => (await new Client({ baseUrl: base }).capabilityStatement()).resourceType);
await step('smart', async () => (await new Client({ baseUrl: base }).smartAuthMetadata()).tokenUrl.href);
await step('openid', async () => new Client({ baseUrl: base }).request('.well-known/openid-configuration'));

let made = await step('create', () => client.create({ resourceType: 'Patient', body }));
await step('create-headers', async () => {
  const again = await client.create({ resourceType: 'Patient', body });
  const { status, headers } = http(again);
  return { status, location: headers.get('location'), etag: headers.get('etag') };
});
const one = { resourceType: 'Patient', id: made.id };
await step('read', () => client.read(one));
await step('vread', async () => (await client.vread({ ...one, version: '1' })).meta.versionId);
await step('not-modified', async () => {
  const options = { headers: { 'If-None-Match': 'W/"1"' } };
  return http(await client.read({ ...one, options })).status;
});
await step('update', async () => {
  const changed = { ...made, gender: 'female' };
  return (await client.update({ ...one, body: changed })).meta.versionId;
});
await step('stale-update', () => client.update({
  ...one, body: made, options: { headers: { 'If-Match': 'W/"1"' } },
}));
await step('patch', async () => (await client.patch({
  ...one, jsonPatch: [{ op: 'replace', path: '/gender', value: 'other' }],
})).gender);
await step('patch-test-fails', () => client.patch({
  ...one, jsonPatch: [{ op: 'test', path: '/gender', value: 'male' }],
}));
await step('minimal', async () => {
  const options = { headers: { Prefer: 'return=minimal' } };
  return Object.keys(await client.update({ ...one, body: { ...made, gender: 'male' }, options })).length;
});
await step('history', async () => (await client.history(one)).entry.map((e) => e.request.method));
await step('conditional-create', async () => {
  const options = { headers: { 'If-None-Exist': `_id=${made.id}` } };
  const found = await client.create({ resourceType: 'Patient', body, options });
  return { status: http(found).status, same: found.id === made.id };
});
await step('conditional-update', async () => {
  const found = await client.update({ resourceType: 'Patient', searchParams: { _id: made.id }, body });
  return { status: http(found).status, same: found.id === made.id };
});
await step('conditional-update-many', () => client.update({
  resourceType: 'Patient', searchParams: byName, body,
}));

await step('search', async () => (await client.search({ resourceType: 'Patient', searchParams: byName })).total);
await step('search-post', async () => (await client.search({
  resourceType: 'Patient', searchParams: byName, options: { postSearch: true },
})).total);
await step('search-twice-the-name', async () => (await client.search({
  resourceType: 'Patient', searchParams: { ...byName, birthdate: ['ge1990-01-01', 'lt1990-01-02'] },
})).total);
await step('count', async () => (await client.search({
  resourceType: 'Patient', searchParams: { ...byName, _summary: 'count' },
})).total);
await step('unknown-parameter', () => client.search({ resourceType: 'Patient', searchParams: { shoe: '44' } }));
await step('lenient', async () => (await client.search({
  resourceType: 'Patient',
  searchParams: { ...byName, shoe: '44' },
  options: { headers: { Prefer: 'handling=lenient' } },
})).total);
await step('pages', async () => {
  const seen = [];
  let page = await client.search({
    resourceType: 'Patient', searchParams: { ...byName, _count: 1, _sort: '_id' },
  });
  while (page) {
    seen.push(...page.entry.map((e) => e.resource.id));
    page = await client.nextPage({ bundle: page });
  }
  return { seen: seen.length, distinct: new Set(seen).size, sorted: `${seen}` === `${[...seen].sort()}` };
});
const observation = await step('observation', () => client.create({
  resourceType: 'Observation',
  body: {
    resourceType: 'Observation', status: 'final', code: { text: '試験' },
    subject: { reference: `Patient/${made.id}` },
  },
}));
const found = await step('include-and-chain', async () => {
  const bundle = await client.search({
    resourceType: 'Observation',
    searchParams: { 'subject:Patient.name': name, _include: 'Observation:subject' },
  });
  return { total: bundle.total, modes: bundle.entry.map((e) => e.search.mode) };
});
await step('revinclude-and-has', async () => (await client.search({
  resourceType: 'Patient',
  searchParams: { '_has:Observation:subject:_id': observation.id, _revinclude: 'Observation:subject' },
})).entry.map((e) => e.resource.resourceType));
const compartment = { resourceType: 'Patient', id: made.id };
await step('compartment', async () => (await client.search({
  resourceType: 'Observation', compartment, searchParams: { status: 'final' },
})).entry.map((e) => e.resource.id === observation.id));
await step('compartment-foreign', async () => (await new Client({ baseUrl: base, bearerToken: foreign }).search({
  resourceType: 'Observation', compartment,
})).total);
await step('system-search', async () => (await client.search({
  searchParams: { _type: 'Patient,Observation', _id: `${made.id},${observation.id}` },
})).entry.map((e) => e.resource.resourceType).sort());
await step('system-search-post', async () => (await client.search({
  searchParams: { _type: 'Patient,Observation', _id: observation.id }, options: { postSearch: true },
})).total);
await step('type-history', async () => {
  const { entry } = await client.history({ resourceType: 'Observation', options: { headers: {} } });
  return entry.filter((e) => e.resource?.id === observation.id).map((e) => e.request.method);
});
await step('system-history', async () => (await client.history()).type);

const asked = JSON.parse(subscription);
const subscribed = await step('subscribe', () => client.create({ resourceType: 'Subscription', body: asked }));
await step('subscription-status', async () => (await client.operation({
  name: '$status', resourceType: 'Subscription', id: subscribed.id, method: 'GET',
})).entry[0].resource.resourceType);
await step('subscription-off', async () => (await client.update({
  resourceType: 'Subscription', id: subscribed.id, body: { ...subscribed, status: 'off' },
})).status);
await step('subscribe-unknown-topic', () => client.create({
  resourceType: 'Subscription', body: { ...asked, criteria: 'https://elsewhere.example/topic' },
}));
await step('unsubscribe', async () => http(await client.delete({
  resourceType: 'Subscription', id: subscribed.id,
})).status);

await step('resolve', async () => (await client.resolve({ reference: `Patient/${made.id}` })).id === made.id);
await step('resolve-absolute', async () => (
  await client.resolve({ reference: `${base}/Patient/${made.id}` })).id === made.id);
await step('resolve-in-bundle', async () => {
  const context = await client.search({
    resourceType: 'Observation',
    searchParams: { _id: observation.id, _include: 'Observation:subject' },
  });
  return (await client.resolve({ reference: `Patient/${made.id}`, context })).id === made.id;
});

const urn = 'urn:uuid:00000000-0000-4000-8000-0000000000aa';
await step('transaction', async () => {
  const bundle = {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      { fullUrl: urn, resource: body, request: { method: 'POST', url: 'Patient' } },
      {
        resource: {
          resourceType: 'Observation', status: 'final', code: { text: '試験' }, subject: { reference: urn },
        },
        request: { method: 'POST', url: 'Observation' },
      },
    ],
  };
  const answer = await client.transaction({ body: bundle });
  const at = (index) => answer.entry[index].response.location.split('/_')[0];
  const seen = await client.request(at(1));
  return { type: answer.type, linked: seen.subject.reference === at(0) };
});
await step('batch', async () => (await client.batch({
  body: {
    resourceType: 'Bundle',
    type: 'batch',
    entry: [
      { request: { method: 'GET', url: `Patient/${made.id}` } },
      { request: { method: 'GET', url: 'Patient/nowhere' } },
    ],
  },
})).entry.map((e) => e.response.status));
await step('operation', async () => (await client.operation({
  name: '$route',
  resourceType: 'HealthcareService',
  input: {
    resourceType: 'Parameters',
    parameter: [{
      name: 'patient',
      resource: { resourceType: 'Patient', address: [{ text: '鹿児島県鹿児島市架空町1-2-3' }] },
    }],
  },
})).resourceType);
await step('unknown-operation', () => client.operation({ name: 'everything', resourceType: 'Patient', id: made.id }));

await step('no-token', () => new Client({ baseUrl: base }).read(one));
await step('bad-token', () => new Client({ baseUrl: base, bearerToken: 'nothing' }).read(one));
await step('narrow', () => new Client({ baseUrl: base, bearerToken: narrow }).read(one));
await step('foreign', () => new Client({ baseUrl: base, bearerToken: foreign }).read(one));
await step('foreign-absent', () => new Client({ baseUrl: base, bearerToken: foreign }).read({ ...one, id: 'nowhere' }));
await step('delete', async () => http(await client.delete({ resourceType: 'Observation', id: observation.id })).status);
await step('deleted', () => client.read({ resourceType: 'Observation', id: observation.id }));
await step('slash', async () => {
  const slashed = new Client({ baseUrl: `${base}/`, bearerToken: token });
  return (await slashed.search({ resourceType: 'Patient', searchParams: { _id: made.id } })).total;
});
