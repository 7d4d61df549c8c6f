"""From a checkpoint and pictures to answers: predictions, a test on a labeled folder, explanations. Importing the
package costs no torch."""
