// A whole codebook from any bytes: refused with an error that names the file, or loaded, and then every part of it can be used.
#include <stdlib.h>

#include "node/codebook/codebook.h"
#include "node/codebook/expr.h"
#include "relay/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_indicator(const struct codebook *codebook, const struct indicator *indicator)
{
    uint64_t cells = 1;
    for (int i = 0; i < indicator->dim_count; i++) {
        const struct dimension *dimension = &indicator->dims[i];
        char name[NAME_MAX_BYTES + 1];
        dimension_member(codebook, indicator, dimension, dimension->radix - 1u, name);
        if (dimension_member_find(codebook, indicator, dimension, name) != dimension->radix - 1)
            abort();
        cells *= dimension->radix;
    }
    if (cells != indicator->cell_count || cells > CELLS_MAX)
        abort();
    struct value none[FIELDS_MAX] = {{0}};
    struct expr_input input = {none, none, NULL, 19000};
    if (indicator->where)
        expr_eval(indicator->where, &input);
    if (indicator->value)
        expr_eval(indicator->value, &input);
}

static void use_form(const struct form *form)
{
    struct value none[FIELDS_MAX] = {{0}};
    struct expr_input input = {none, none, NULL, 19000};
    for (int i = 0; i < form->field_count; i++) {
        const struct program *programs[] = {form->fields[i].need, form->fields[i].show, form->fields[i].check, form->fields[i].calc};
        for (size_t j = 0; j < sizeof programs / sizeof *programs; j++)
            if (programs[j])
                expr_eval(programs[j], &input);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct codebook *codebook = NULL;
    struct error error = {0};
    if (size > 64 * 1024 || crypto_init(NULL) != OK)
        return 0;
    if (codebook_load(bytes_of(data, size), "fuzz.yaml", &codebook, &error) != OK) {
        if (codebook || error.code == OK || strncmp(error.detail, "fuzz.yaml", 9) != 0)
            abort();
        return 0;
    }
    for (int i = 0; i < codebook->indicator_count; i++)
        use_indicator(codebook, &codebook->indicators[i]);
    for (int i = 0; i < codebook->form_count; i++)
        use_form(&codebook->forms[i]);
    codebook_destroy(codebook);
    return 0;
}
