#include "agent/acl/built_in.h"

/* Policies of Consul keep their ids and words. */
static const struct {
    enum directory_kind kind;
    const char *text;
} built_in[] = {
    {DIRECTORY_POLICY, "{\"ID\":\"00000000-0000-0000-0000-000000000001\","
                       "\"Name\":\"global-management\","
                       "\"Description\":\"Builtin Policy that grants unlimited access\","
                       "\"Rules\":\"acl = \\\"write\\\"\\n"
                       "agent_prefix \\\"\\\" { policy = \\\"write\\\" }\\n"
                       "event_prefix \\\"\\\" { policy = \\\"write\\\" }\\n"
                       "key_prefix \\\"\\\" { policy = \\\"write\\\" }\\n"
                       "keyring = \\\"write\\\"\\n"
                       "node_prefix \\\"\\\" { policy = \\\"write\\\" }\\n"
                       "operator = \\\"write\\\"\\n"
                       "pg_prefix \\\"\\\" { policy = \\\"write\\\" }\\n"
                       "query_prefix \\\"\\\" { policy = \\\"write\\\" }\\n"
                       "service_prefix \\\"\\\" { policy = \\\"write\\\" }\\n"
                       "session_prefix \\\"\\\" { policy = \\\"write\\\" }\\n"
                       "\",\"Datacenters\":[]}"},
    {DIRECTORY_POLICY, "{\"ID\":\"00000000-0000-0000-0000-000000000002\","
                       "\"Name\":\"global-read-only\","
                       "\"Description\":\"Built in: reads everything but keys,"
                       " tokens and the keyring\","
                       "\"Rules\":\"agent_prefix \\\"\\\" { policy = \\\"read\\\" }\\n"
                       "event_prefix \\\"\\\" { policy = \\\"read\\\" }\\n"
                       "node_prefix \\\"\\\" { policy = \\\"read\\\" }\\n"
                       "operator = \\\"read\\\"\\n"
                       "pg_prefix \\\"\\\" { policy = \\\"read\\\" }\\n"
                       "query_prefix \\\"\\\" { policy = \\\"read\\\" }\\n"
                       "service_prefix \\\"\\\" { policy = \\\"read\\\" }\\n"
                       "session_prefix \\\"\\\" { policy = \\\"read\\\" }\\n"
                       "\",\"Datacenters\":[]}"},
    {DIRECTORY_POLICY, "{\"ID\":\"00000000-0000-0000-0000-000000000003\","
                       "\"Name\":\"global-register\","
                       "\"Description\":\"Built in: registers services,"
                       " and reads nodes and services\","
                       "\"Rules\":\"agent_prefix \\\"\\\" { policy = \\\"read\\\" }\\n"
                       "node_prefix \\\"\\\" { policy = \\\"read\\\" }\\n"
                       "service_prefix \\\"\\\" { policy = \\\"write\\\" }\\n"
                       "\",\"Datacenters\":[]}"},
    {DIRECTORY_ROLE,
     "{\"ID\":\"00000000-0000-0000-0000-000000000011\",\"Name\":\"admin\","
     "\"Description\":\"Built in: may do everything\","
     "\"Policies\":[\"00000000-0000-0000-0000-000000000001\"],"
     "\"ServiceIdentities\":[],\"NodeIdentities\":[]}"},
    {DIRECTORY_ROLE, "{\"ID\":\"00000000-0000-0000-0000-000000000012\",\"Name\":\"read\","
                     "\"Description\":\"Built in: reads everything but keys,"
                     " tokens and the keyring\","
                     "\"Policies\":[\"00000000-0000-0000-0000-000000000002\"],"
                     "\"ServiceIdentities\":[],\"NodeIdentities\":[]}"},
    {DIRECTORY_ROLE, "{\"ID\":\"00000000-0000-0000-0000-000000000013\","
                     "\"Name\":\"register\","
                     "\"Description\":\"Built in: registers services,"
                     " and reads nodes and services\","
                     "\"Policies\":[\"00000000-0000-0000-0000-000000000003\"],"
                     "\"ServiceIdentities\":[],\"NodeIdentities\":[]}"},
    {DIRECTORY_TOKEN, "{\"AccessorID\":\"00000000-0000-0000-0000-000000000002\","
                      "\"Description\":\"Anonymous Token\",\"Policies\":[],\"Roles\":[],"
                      "\"ServiceIdentities\":[],\"NodeIdentities\":[],\"Local\":false,"
                      "\"CreateTime\":0,\"ExpirationTime\":0}"},
};

const char *built_in_at(size_t i, enum directory_kind *kind)
{
    if (i >= sizeof built_in / sizeof built_in[0]) {
        return NULL;
    }
    *kind = built_in[i].kind;
    return built_in[i].text;
}
