/* test_path_form.c - paths have one form, and what could be read otherwise is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/pattern/path_form.h"

static void a_normal_form_has_one_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *want;
    } cases[] = {
        {"/", "/"},
        {"/a/b", "/a/b"},
        {"/%7euser", "/~user"},
        {"/%41%2d%2E%5f", "/A-._"},
        {"/caf%c3%a9", "/caf%C3%A9"},
        {"/a%2fb", "/a%2Fb"},
        {"/a//b", "/a//b"},
        {"/a/./b", "/a/b"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/.", "/a/"},
        {"/.", "/"},
        {"/a/%2e%2e/b", "/b"},
        {"/a/%2E/b", "/a/b"},
        {"/a/.%2e/b/", "/b/"},
        {"/a/b/c/../../d", "/a/d"},
        {"/a//../b", "/a/b"},
        {"/...", "/..."},
        {"/a/..b/.c", "/a/..b/.c"},
        {"/%252e%252e/x", "/%252e%252e/x"},
        {"/a;b=1/c", "/a;b=1/c"},
    };
    char space[PATH_FORM_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = 0;
        enum path_fault fault =
            path_form_normal(cases[i].path, strlen(cases[i].path), space, &size);
        if (fault != PATH_SOUND || size != strlen(cases[i].want) ||
            memcmp(space, cases[i].want, size) != 0) {
            fail_msg("%s: %s, %.*s", cases[i].path, path_form_fault_text(fault),
                     (int)size, space);
        }
    }
}

static void what_no_honest_path_has_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum path_fault want;
    } cases[] = {
        {"/%", PATH_BAD_PERCENT},      {"/%4", PATH_BAD_PERCENT},
        {"/%zz", PATH_BAD_PERCENT},    {"/a%00b", PATH_NUL},
        {"/a\\b", PATH_BACKSLASH},     {"/..", PATH_ABOVE_ROOT},
        {"/../etc", PATH_ABOVE_ROOT},  {"/a/../../b", PATH_ABOVE_ROOT},
        {"/%2e%2e/", PATH_ABOVE_ROOT}, {"/./..", PATH_ABOVE_ROOT},
    };
    char space[PATH_FORM_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = 0;
        enum path_fault fault =
            path_form_normal(cases[i].path, strlen(cases[i].path), space, &size);
        if (fault != cases[i].want) {
            fail_msg("%s: %s", cases[i].path, path_form_fault_text(fault));
        }
    }
}

static void a_careless_server_is_foreseen(void **state)
{
    (void)state;
    static const struct {
        const char *normal;
        const char *want;
    } cases[] = {
        {"/a/b", "/a/b"},
        {"//admin", "/admin"},
        {"/a///b//", "/a/b/"},
        {"/admin%2Fx", "/admin/x"},
        {"/public%2F..%2Fadmin", "/admin"},
        {"/public/..%5Cadmin", "/admin"},
        {"/public/..%2F..%2F..%2Fadmin", "/"},
        {"/public/..;/admin", "/admin"},
        {"/public/..%3B/admin", "/admin"},
        {"/admin;x=1/y", "/admin/y"},
        {"/a;b%2Fc", "/a/c"},
        {"/public/%C0%AE%C0%AE/admin", "/admin"},
        {"/public%C0%AF..%C1%9Cadmin", "/admin"},
        {"/caf%C3%A9", "/caf%C3%A9"},
        {"/%252F", "/%252F"},
        {"/%C0", "/%C0"},
    };
    char space[PATH_FORM_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = path_form_lax(cases[i].normal, strlen(cases[i].normal), space);
        if (size != strlen(cases[i].want) || memcmp(space, cases[i].want, size) != 0) {
            fail_msg("%s: %.*s", cases[i].normal, (int)size, space);
        }
    }
}

static void plain_paths_need_no_second_look(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool want;
    } cases[] = {
        {"/", true},      {"/a/b.html", true}, {"/a.b/c..d/", true}, {"/a/.well", false},
        {"/a//b", false}, {"/a%20b", false},   {"/a;b", false},      {"/a\\b", false},
        {"/../a", false}, {"/...", false},     {"/a/b~-_:@!", true}, {"//", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (path_form_is_plain(cases[i].path, strlen(cases[i].path)) != cases[i].want) {
            fail_msg("%s", cases[i].path);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_normal_form_has_one_spelling),
        cmocka_unit_test(what_no_honest_path_has_is_refused),
        cmocka_unit_test(a_careless_server_is_foreseen),
        cmocka_unit_test(plain_paths_need_no_second_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
