# Golden values of DeLong's interval and paired test, from R's pROC.
# Usage: Rscript delong.R > delong.json   (in this folder)
suppressPackageStartupMessages(library(pROC))

set.seed(2016)
samples <- list()
add <- function(name, labels, first, second) {
  samples[[name]] <<- list(labels = labels, first = first, second = second)
}
labels <- c(rep(0, 40), rep(1, 25))
add("continuous", labels, rnorm(65) + 1.2 * labels, rnorm(65) + 0.7 * labels)
add("tied", labels, round(rnorm(65) + 1.2 * labels), round(rnorm(65) + 0.7 * labels))
shared <- rnorm(65)
add("correlated", labels, shared + labels + rnorm(65) / 4, shared + 0.8 * labels + rnorm(65) / 4)
few <- c(0, 0, 0, 1, 1, 1)
add("tiny", few, c(.1, .4, .35, .3, .8, .9), c(.2, .1, .5, .6, .4, .7))
add("inverted", labels, rnorm(65) - 1.0 * labels, rnorm(65))

number <- function(x) paste(format(x, digits = 17, trim = TRUE, scientific = FALSE),
                            collapse = ", ")
entries <- character(0)
for (name in names(samples)) {
  one <- samples[[name]]
  a <- roc(one$labels, one$first, direction = "<", quiet = TRUE)
  b <- roc(one$labels, one$second, direction = "<", quiet = TRUE)
  interval <- as.numeric(ci.auc(a, method = "delong"))
  test <- roc.test(a, b, method = "delong", paired = TRUE)
  entries <- c(entries, sprintf(
    paste0(' "%s": {\n  "labels": [%s],\n  "first": [%s],\n  "second": [%s],\n',
           '  "auc": [%s],\n  "interval": [%s],\n  "p": %s\n }'),
    name, number(one$labels), number(one$first), number(one$second),
    number(c(auc(a), auc(b))), number(interval[c(1, 3)]), number(test$p.value)))
}
cat("{\n", paste(entries, collapse = ",\n"), ",\n", sprintf(' "made_by": "pROC %s, R %s"\n',
    packageVersion("pROC"), getRversion()), "}\n", sep = "")
